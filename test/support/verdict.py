"""What a test in Python found: a line for each thing that was looked at, and an exit status in the end."""
import sys

failures = []


def check(what, found):
    """FOUND says what is wrong; empty: nothing is."""
    print(f"{'FAIL' if found else 'ok  '} {what}{': ' + str(found)[:3000] if found else ''}", flush=True)
    if found:
        failures.append(what)


def ended(evidence=None):
    """Ends the test. EVIDENCE is called and shown when something failed."""
    if failures and evidence:
        print(evidence())
    print(f"{len(failures)} failures")
    sys.exit(1 if failures else 0)

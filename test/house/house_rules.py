#!/usr/bin/env python3
"""The house rules, as a test: what CONTRIBUTING.md promises about the tree and no compiler checks.

    test/house/house_rules.py [ROOT]

Prints one line for each breach and exits 1 when there is one. Exceptions stand in test/house/exceptions.txt, each with
its reason; an exception that is not needed any more is a breach too, so the list only shrinks.
"""
import re
import subprocess
import sys
from pathlib import Path

# Who may include whom (DESIGN, "Folders and who may include whom"). A folder may always include itself and base.
MAY_INCLUDE = {
    "base": set(),
    "journal": set(),
    "fusefs": {"journal"},
    "ha": {"journal"},
    "rewind": {"journal"},
    "replicator": {"ha", "journal", "rewind"},
    "tools": {"ha", "journal", "rewind"},
    "test": {"ha", "journal", "rewind", "fusefs", "replicator", "tools"},
}
LINES_MAX = 700
FUNCTION_LINES_MAX = 70
FORMAT_PAGES = {"docs/journal_format.md": ["journal/format.h"], "docs/store_format.md": ["journal/format.h", "rewind/undo/undo_format.h"],
                "docs/replication_protocol.md": ["replicator/protocol/wire_format.h"]}
SIMPLE_TYPES = {"uint8_t": 1, "uint16_t": 2, "uint32_t": 4, "uint64_t": 8, "int32_t": 4, "int64_t": 8}


def tracked(root, *patterns):
    listed = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard", *patterns], capture_output=True, text=True, check=True)
    return [Path(line) for line in listed.stdout.splitlines() if (root / line).is_file()]


def include_breaches(path, text):
    folder = path.parts[0]
    if folder not in MAY_INCLUDE:
        return
    allowed = MAY_INCLUDE[folder] | {folder, "base"}
    for included in re.findall(r'^#include "([^"]+)"', text, re.MULTILINE):
        if "/" not in included:
            yield f"{path}: includes \"{included}\"; project headers are included from the root of the tree"
        elif included.split("/")[0] not in allowed:
            yield f"{path}: {folder}/ may not include {included}"


def size_breaches(path, text):
    lines = text.count("\n")
    if lines > LINES_MAX:
        yield f"{path}: {lines} lines, at most {LINES_MAX}"
    start = name = None
    for number, line in enumerate(text.split("\n"), 1):
        # At the left margin the house style has only namespaces, types and functions.
        if re.match(r"^[A-Za-z].*\{$", line) and not re.match(r"^(namespace|struct|class|enum|union|extern|const|constexpr|static const)\b", line):
            start, name = number, line
        elif line.startswith("}") and start:
            if number - start > FUNCTION_LINES_MAX:
                yield f"{path}: {name.rstrip(' {')[:60]} has {number - start} lines, at most {FUNCTION_LINES_MAX}"
            start = None


def word_breaches(path, text):
    for number, line in enumerate(text.split("\n"), 1):
        if re.search(r"\b(TODO|FIXME)\b(?!\(#\d+\))", line) and "house_rules" not in str(path):
            yield f"{path}:{number}: a TODO names its issue: TODO(#12)"


def constants_of(text):
    """#define and enum constants of a C header, evaluated."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    values = {}
    found = re.findall(r"^#define (HF_\w+) +(.+?)\s*$", text, re.MULTILINE) + re.findall(r"\b(HF_\w+) = (\w+),", text)
    for name, expression in found:
        plain = re.sub(r"\b(0x[0-9a-fA-F]+|\d+)[uUlL]+\b", r"\1", expression)
        if re.fullmatch(r"[\w\s()+*<>|-]+", plain):
            try:
                values[name] = eval(plain, {"__builtins__": {}}, values)
            except (NameError, SyntaxError):
                pass
    return values


def structure_sizes(text, known):
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    sizes = dict(SIMPLE_TYPES)
    for name, body in re.findall(r"struct (hf_\w+) \{(.*?)\};", text, re.DOTALL):
        total = 0
        for type_name, count in re.findall(r"(?:struct )?(\w+) \w+(?:\[(\w+)\])?;", body):
            total += sizes.get(type_name, 0) * (int(count) if count and count.isdigit() else known.get(count, 1) if count else 1)
        sizes[name] = total
    return {f"struct {name}": size for name, size in sizes.items() if name.startswith("hf_")}


def format_breaches(root):
    for page, headers in FORMAT_PAGES.items():
        if not (root / page).exists():
            yield f"{page}: is missing"
            continue
        source = "\n".join((root / header).read_text() for header in headers)
        truth = constants_of(source)
        truth.update(structure_sizes(source, truth))
        documented = dict(re.findall(r"^\| `((?:struct )?[Hh][Ff]_\w+)` \| (0x[0-9a-fA-F]+|[\d,]+) \|", (root / page).read_text(), re.MULTILINE))
        if len(documented) < 10:
            yield f"{page}: documents only {len(documented)} constants in rows `| `HF_NAME` | number |`"
        for name, number in documented.items():
            value = int(number.replace(",", ""), 0)
            if truth.get(name) != value:
                yield f"{page}: {name} is {number} there and {truth.get(name, 'absent')} in the code"
        if page == "docs/journal_format.md":
            own = constants_of((root / headers[0]).read_text())
            for name in own:
                if re.match(r"HF_(GAP_|ATTR_|RECORD_)", name) or re.search(r"\b%s = " % name, source):
                    if name not in documented:
                        yield f"{page}: {name} is not documented"


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parents[2]).resolve()
    breaches = []
    files = tracked(root, "*.h", "*.cc", "*.c", "*.py", "*.sh")
    for path in files:
        text = (root / path).read_text(errors="replace")
        breaches += word_breaches(path, text)
        if path.suffix in (".h", ".cc", ".c"):
            breaches += include_breaches(path, text)
            breaches += size_breaches(path, text)
    breaches += format_breaches(root)

    exceptions = {}
    for line in (root / "test/house/exceptions.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            breach, _, reason = line.partition(" -- ")
            exceptions[breach] = reason
            if not reason:
                breaches.append(f"test/house/exceptions.txt: no reason for: {breach}")
    used = set()
    remaining = []
    for breach in breaches:
        match = next((e for e in exceptions if breach.startswith(e)), None)
        used.add(match)
        if match is None:
            remaining.append(breach)
    remaining += [f"test/house/exceptions.txt: not needed any more: {e}" for e in exceptions if e not in used]
    for breach in remaining:
        print(breach)
    print(f"{len(files)} files, {len(remaining)} breaches, {len(exceptions)} exceptions")
    return 1 if remaining else 0


if __name__ == "__main__":
    sys.exit(main())

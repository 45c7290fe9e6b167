#include "tools/cli/output.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <ctime>

#include "base/text.h"
#include "tools/cli/changes.h"

using namespace holdfast;
using namespace holdfast::cli;

TEST_CASE("printable: a hostile name cannot forge a line or steer the terminal") {
    CHECK(printable("plain name.txt") == "plain name.txt");
    CHECK(printable("a\nb\tc\\d") == "a\\nb\\tc\\\\d");
    CHECK(printable("\x1b[31mred\x7f") == "\\x1b[31mred\\x7f");
    CHECK(printable("Gr\xc3\xb6\xc3\x9f" "e") == "Gr\xc3\xb6\xc3\x9f" "e");
    // U+009B begins a terminal command as ESC [ does.
    CHECK(printable("\xc2\x9b" "31m") == "\\xc2\\x9b" "31m");
    CHECK(printable(std::string_view("\0", 1)) == "\\x00");
}

TEST_CASE("table: columns are aligned by characters, numbers to the right") {
    Table table({"NAME", ">SIZE", "WHAT"});
    CHECK(table.empty());
    table.add({"gr\xc3\xb6\xc3\x9f" "er", "12", "x"});
    table.add({"a", "1234567", ""});
    CHECK_FALSE(table.empty());
    CHECK(table.text() ==
          "NAME       SIZE  WHAT\n"
          "gr\xc3\xb6\xc3\x9f" "er       12  x\n"
          "a       1234567\n");
}

TEST_CASE("progress: the bar never overflows, whatever a service tells") {
    CHECK(Progress::line("copying", 0, 100, false) == "copying  [........................] 0 %  0 of 100");
    CHECK(Progress::line("copying", 50, 100, false) == "copying  [############............] 50 %  50 of 100");
    CHECK(Progress::line("copying", 300, 100, false) == "copying  [########################] 100 %  300 of 100");
    CHECK(Progress::line("copying", 1536, 0, true) == "copying  1.5 KiB");
    CHECK(Progress::line("a\nb", 1, 0, false) == "a\\nb  1");
}

TEST_CASE("durations: the unit fits, with the next smaller one where it helps") {
    CHECK(human_duration(0) == "0 s");
    CHECK(human_duration(250'000'000) == "250 ms");
    CHECK(human_duration(40'000'000'000) == "40 s");
    CHECK(human_duration(90'000'000'000) == "1 min");
    CHECK(human_duration(65 * 60'000'000'000) == "1 h 5 min");
    CHECK(human_duration(76 * 3'600'000'000'000) == "3 d 4 h");
}

TEST_CASE("times: what is shown can be given back as a moment") {
    ::setenv("TZ", "Europe/Berlin", 1);
    ::tzset();
    const uint64_t time_ns = 1'772'373'800'123'000'000;
    std::string text = local_time(time_ns);
    CHECK(text == "2026-03-01T15:03:20.123");
    CHECK(*parse_iso8601_ns(text) == time_ns);
    CHECK(local_time(0).empty());
    ::unsetenv("TZ");
    ::tzset();
}

TEST_CASE("modes: as ls shows them, set-id and sticky bits included") {
    CHECK(mode_text("file", 0644) == "-rw-r--r--");
    CHECK(mode_text("directory", 01777) == "drwxrwxrwt");
    CHECK(mode_text("file", 04755) == "-rwsr-xr-x");
    CHECK(mode_text("file", 06644) == "-rwSr-Sr--");
    CHECK(mode_text("directory", 01000) == "d--------T");
    CHECK(mode_text("symlink", 0777) == "lrwxrwxrwx");
    CHECK(mode_text("block device", 0) == "b---------");
}

TEST_CASE("counts: one is singular") {
    CHECK(counted(1, "file", "files") == "1 file");
    CHECK(counted(0, "file", "files") == "0 files");
}

TEST_CASE("changes: each kind is one line") {
    CHECK(change_line({{"path", "a"}, {"change", "added"}, {"type", "file"}, {"what", Json::array()}, {"bytes", 1536}}) == "A a  (1.5 KiB)\n");
    CHECK(change_line({{"path", "d"}, {"change", "removed"}, {"type", "directory"}, {"bytes", 0}}) == "D d/\n");
    CHECK(change_line({{"path", "b"}, {"change", "renamed"}, {"type", "file"}, {"from_path", "a\nc"}}) == "R a\\nc -> b\n");
    Json parts = Json::array({"mode", "mtime"});
    CHECK(change_line({{"path", ""}, {"change", "modified"}, {"type", "directory"}, {"what", parts}}) == "M ./  (mode, mtime)\n");
}

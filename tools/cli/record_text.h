// Journal records for people and for machines: what `holdfast journal dump` prints.
// Thread rule: pure functions.
#pragma once

#include <string>

#include "journal/record.h"
#include "tools/cli/output.h"

namespace holdfast::cli {

// One line: address, time, type, object, and what is special about the type.
std::string record_line(const journal::Record& record);
// Names and values through name_to_text; the data of a WRITE is left out, its length is told.
Json record_to_json(const journal::Record& record);

}  // namespace holdfast::cli

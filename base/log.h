// What a service says to the person who runs it: one line each, to standard error (and from there to the
// journal of the init system or to a file). Messages are complete sentences; names in them come through
// quoted() of base/text.h, so that a hostile file name cannot forge a line.
#pragma once

#include <string_view>

namespace holdfast {

void log_info(std::string_view message);
void log_warning(std::string_view message);
void log_error(std::string_view message);

}  // namespace holdfast

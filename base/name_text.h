// File names in JSON. A Linux name is any bytes but '/' and NUL; a JSON string must be UTF-8. These two functions
// map one to the other without loss: what is UTF-8 stays as it is, every other byte B becomes the private character
// U+F700 + B (U+F780 to U+F7FF). Names that already contain such a character have its bytes mapped one by one, so
// that the way back is unambiguous.
//
// Every path, name and bookmark name on a control socket and in --json output travels in this form.
#pragma once

#include <string>
#include <string_view>

namespace holdfast {

std::string name_to_text(std::string_view name);
std::string text_to_name(std::string_view text);

}  // namespace holdfast

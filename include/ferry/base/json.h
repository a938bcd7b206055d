// nlohmann/json as the project uses it: objects keep the order in which their members were added.
//
// What every source that includes it would instantiate anew is compiled once, in json.cpp; that is
// most of what building with the library costs.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace ferry {

using Json = nlohmann::ordered_json;

/// In one line. Bytes that are not UTF-8 become U+FFFD: a message must not fail because of them.
/// Controls are escaped (text.h): tables and logs are looked at on terminals.
std::string to_text(const Json& json);

/// Null for an empty TEXT.
inline Json text_or_null(std::string_view text) {
  return text.empty() ? Json() : Json(text);
}

}  // namespace ferry

namespace nlohmann {
extern template class basic_json<ordered_map>;
namespace detail {
extern template class serializer<ordered_json>;
extern template class json_sax_dom_parser<ordered_json>;
extern template class json_sax_dom_callback_parser<ordered_json>;
extern template class lexer<ordered_json, iterator_input_adapter<const char*>>;
extern template class parser<ordered_json, iterator_input_adapter<const char*>>;
}  // namespace detail
}  // namespace nlohmann

#include "ferry/base/json.h"

#include "ferry/base/text.h"

template class nlohmann::basic_json<nlohmann::ordered_map>;
namespace nlohmann::detail {
template class serializer<ordered_json>;
template class json_sax_dom_parser<ordered_json>;
template class json_sax_dom_callback_parser<ordered_json>;
template class lexer<ordered_json, iterator_input_adapter<const char*>>;
template class parser<ordered_json, iterator_input_adapter<const char*>>;
}  // namespace nlohmann::detail

namespace ferry {

std::string to_text(const Json& json) {
  return escape_controls_in_json(json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace ferry

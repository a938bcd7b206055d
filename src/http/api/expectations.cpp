#include "http/api/api.h"

namespace ferry::http {

Answer<Response> get_expectations(const Context& context, Call& call) {
  const std::string date = call.target.parameter("date").value_or("");
  const auto look = [&] { return context.configuration.expectations(context.store, date); };
  auto answer = date.empty() ? context.today.ask(look) : look();
  if (!answer) return refuse(answer.error());
  return json_response(200, *answer);
}

}  // namespace ferry::http

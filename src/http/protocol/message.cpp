#include "http/protocol/message.h"

#include <array>
#include <cerrno>
#include <ctime>

namespace ferry::http {
namespace {

struct Status {
  unsigned code;
  std::string_view phrase;
};
constexpr std::array kStatuses{Status{200, "OK"},
                               Status{201, "Created"},
                               Status{204, "No Content"},
                               Status{400, "Bad Request"},
                               Status{401, "Unauthorized"},
                               Status{403, "Forbidden"},
                               Status{404, "Not Found"},
                               Status{405, "Method Not Allowed"},
                               Status{408, "Request Timeout"},
                               Status{409, "Conflict"},
                               Status{411, "Length Required"},
                               Status{412, "Precondition Failed"},
                               Status{413, "Content Too Large"},
                               Status{415, "Unsupported Media Type"},
                               Status{417, "Expectation Failed"},
                               Status{421, "Misdirected Request"},
                               Status{422, "Unprocessable Content"},
                               Status{423, "Locked"},
                               Status{429, "Too Many Requests"},
                               Status{431, "Request Header Fields Too Large"},
                               Status{460, "Checksum Mismatch"},
                               Status{500, "Internal Server Error"},
                               Status{501, "Not Implemented"},
                               Status{502, "Bad Gateway"},
                               Status{503, "Service Unavailable"},
                               Status{505, "HTTP Version Not Supported"},
                               Status{507, "Insufficient Storage"}};

unsigned status_for(const Error& error) {
  if (error.os_code == ENOSPC || error.os_code == EDQUOT) return 507;
  switch (error.kind) {
    case ErrorKind::kInvalid:
      return 400;
    case ErrorKind::kNotFound:
      return 404;
    case ErrorKind::kAbnormal:
      return 422;
    case ErrorKind::kFailed:
      return 409;
    case ErrorKind::kBusy:
    case ErrorKind::kCancelled:
      return 503;
    case ErrorKind::kUnreachable:
    case ErrorKind::kRefused:
    case ErrorKind::kConnectionLost:
    case ErrorKind::kProtocol:
      return 502;
    case ErrorKind::kRemoteFull:
      return 507;
    default:
      return 500;
  }
}

}  // namespace

std::optional<std::string> Request::field(std::string_view name) const {
  std::optional<std::string> joined;
  for (const auto& [key, value] : fields) {
    if (key != name) continue;
    joined = joined ? *joined + ", " + value : value;
  }
  return joined;
}

std::string_view reason_phrase(unsigned status) {
  for (const Status& one : kStatuses) {
    if (one.code == status) return one.phrase;
  }
  return "Unknown";
}

std::unexpected<Problem> refuse(const Error& error) {
  const unsigned status = status_for(error);
  Fields fields;
  if (status == 503) fields.emplace_back("Retry-After", "5");
  return refuse(status, to_string(error.kind), error.message, std::move(fields));
}

Response to_response(const Problem& problem) {
  Response response{problem.status, problem.fields,
                    to_text({{"type", "about:blank"},
                             {"title", reason_phrase(problem.status)},
                             {"status", problem.status},
                             {"kind", problem.kind},
                             {"detail", problem.detail}}) +
                        "\n"};
  response.fields.emplace_back("Content-Type", "application/problem+json");
  return response;
}

std::string http_date(Timestamp time) {
  const std::time_t seconds =
      std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  constexpr std::array kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                               "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT",
                     kDays.at(static_cast<std::size_t>(parts.tm_wday)), parts.tm_mday,
                     kMonths.at(static_cast<std::size_t>(parts.tm_mon)), parts.tm_year + 1900,
                     parts.tm_hour, parts.tm_min, parts.tm_sec);
}

Response json_response(unsigned status, const Json& json) {
  return {status, {{"Content-Type", "application/json"}}, to_text(json) + "\n"};
}

}  // namespace ferry::http

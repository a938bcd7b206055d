#include "ferry/base/outages.h"

#include <unistd.h>

#include <algorithm>
#include <boost/filesystem/directory.hpp>

#include "ferry/base/hash.h"

namespace ferry {
namespace {

constexpr mode_t kMode = 0640;
constexpr const char* kExtension = ".json";

std::optional<Timestamp> time_in(const Json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_string()) return std::nullopt;
  const auto time = parse_timestamp(found->get<std::string>());
  return time ? std::optional(*time) : std::nullopt;
}

std::optional<Outage> read_note(const fs::path& file) try {
  const auto text = read_file(file);
  if (!text) return std::nullopt;
  const Json json = Json::parse(*text);
  const auto since = time_in(json, "since");
  const auto last_try = time_in(json, "last_try");
  if (!since || !last_try) return std::nullopt;
  return Outage{.destination = json.at("destination"),
                .kind = json.at("kind"),
                .message = json.at("message"),
                .since = *since,
                .last_try = *last_try,
                .next_try = time_in(json, "next_try")};
} catch (const Json::exception&) {
  return std::nullopt;
}

}  // namespace

Json to_json(const Outage& outage) {
  return {{"destination", outage.destination},
          {"kind", outage.kind},
          {"message", outage.message},
          {"since", format_timestamp(outage.since)},
          {"last_try", format_timestamp(outage.last_try)},
          {"next_try", outage.next_try ? Json(format_timestamp(*outage.next_try)) : Json()}};
}

/// A destination's name may have any characters.
fs::path Outages::file_of(std::string_view destination) const {
  constexpr std::size_t kDigits = 32;
  return directory_ / (sha256_of(destination).to_hex().substr(0, kDigits) + kExtension);
}

Result<void> Outages::note(std::string_view destination, const Error& error, Timestamp time,
                           std::optional<Timestamp> next_try) const {
  if (auto made = make_directories(directory_); !made) return made;
  const fs::path file = file_of(destination);
  const auto before = read_note(file);
  const Outage outage{.destination = std::string(destination),
                      .kind = std::string(to_string(error.kind)),
                      .message = error.message,
                      .since = before ? before->since : time,
                      .last_try = time,
                      .next_try = next_try};
  return replace_file(file, to_text(to_json(outage)) + "\n", kMode);
}

void Outages::clear(std::string_view destination) const {
  ::unlink(file_of(destination).c_str());
}

Result<std::vector<Outage>> Outages::all() const {
  std::vector<Outage> outages;
  boost::system::error_code error;
  for (fs::directory_iterator it(directory_, error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().extension() != kExtension) continue;
    if (auto outage = read_note(it->path())) outages.push_back(std::move(*outage));
  }
  if (error && error.value() != ENOENT) return errno_error(error.value(), directory_.string());
  std::ranges::sort(outages, {}, &Outage::destination);
  return outages;
}

}  // namespace ferry

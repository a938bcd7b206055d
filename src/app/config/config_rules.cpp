#include "app/config/config_rules.h"

#include <algorithm>
#include <set>

#include "app/config/placement.h"
#include "app/config/routing.h"
#include "app/config/secrets.h"
#include "app/config/state_directory.h"
#include "app/config/text.h"
#include "ferry/base/text.h"

namespace ferry::app {
namespace {

template <typename Entries>
std::vector<std::string_view> names_of(const Entries& entries) {
  std::vector<std::string_view> names;
  for (const auto& entry : entries) names.emplace_back(entry.name);
  return names;
}

class Rules {
 public:
  explicit Rules(const Settings& settings) : settings_(settings) {
    for (const RouteSettings& route : settings_.routes) {
      routes_.push_back(make_route(route, settings_));
    }
  }

  std::vector<Contradiction> apply() {
    for (const TransformSettings& transform : settings_.transforms) check_transform(transform);
    for (const DestinationSettings& one : settings_.destinations) {
      check_control(one);
      check_parts(one);
    }
    for (const ExpectSettings& one : settings_.expected) {
      check_names(Section::kExpect, one.name, "landing", "landing area", one.landing,
                  names_of(settings_.landings));
    }
    for (Misplaced& one : find_misplaced(settings_)) {
      complain(Section::kLanding, one.landing, one.key, "{}", one.message);
    }
    for (const RouteSettings& route : settings_.routes) check_route(route);
    check_service();
    check_pairs();
    if (routes_.empty()) check_places(settings_.configured_destinations);
    return std::move(found_);
  }

 private:
  template <typename... Args>
  void complain(Section section, const std::string& name, std::string_view key,
                fmt::format_string<Args...> format, Args&&... args) {
    found_.push_back(
        {section, name, std::string(key), fmt::format(format, std::forward<Args>(args)...)});
  }

  void check_service() {
    const bool has_certificate = !settings_.serve.tls_certificate.empty();
    if (has_certificate != settings_.serve.tls_key.empty()) return;
    complain(Section::kServe, "", has_certificate ? "tls_certificate" : "tls_key",
             "TLS needs both: tls_certificate and tls_key");
  }

  void check_transform(const TransformSettings& transform) {
    if (!transform.type->runs_command && !transform.command.empty()) {
      complain(Section::kTransform, transform.name, "command",
               "only transforms of type command run one");
    }
    const std::string suffix = transform.suffix.value_or("");
    if (suffix.contains('/') || escape_controls(suffix) != suffix) {
      complain(Section::kTransform, transform.name, "suffix",
               "suffix: '{}' cannot be at the end of a file's name", escape_controls(suffix));
    }
    for (const auto& mistake : transform.type->check(make_transform(transform))) {
      complain(Section::kTransform, transform.name, mistake.key, "{}", mistake.message);
    }
  }

  void check_parts(const DestinationSettings& destination) {
    const auto keep = destination.part_keep;
    if (keep.count() == 0 || keep >= std::chrono::days(1)) return;
    complain(Section::kDestination, destination.name, "part_keep",
             "part_keep: other agents may still go on with younger parts: at least 1d, or 0s for "
             "never");
  }

  void check_control(const DestinationSettings& destination) {
    const auto& pattern = destination.control_name.pattern;
    if (destination.control_keep.count() > 0 && pattern &&
        !pattern->text().contains("{batch_id}")) {
      complain(
          Section::kDestination, destination.name, "control_keep",
          "control_keep goes by the batch's id in a control file's name: put {{batch_id}} into "
          "control_name");
    }
    if (destination.control != transfer::ControlFormat::kNone) return;
    const auto is_useless = [&](std::string_view key) {
      complain(Section::kDestination, destination.name, key,
               "{} is of no use with control = \"none\"", key);
    };
    if (!destination.control_sign.empty()) is_useless("control_sign");
    if (destination.control_name.pattern) is_useless("control_name");
  }

  void check_route(const RouteSettings& route) {
    if (route.to.empty()) complain(Section::kRoute, route.name, "to", "to: names no destination");
    check_names(Section::kRoute, route.name, "to", "destination", route.to,
                names_of(settings_.destinations));
    check_names(Section::kRoute, route.name, "landing", "landing area", route.landing,
                names_of(settings_.landings));
    std::vector<std::string_view> transforms = names_of(settings_.transforms);
    for (const auto* type : transfer::transform_types()) {
      if (!type->needs_settings) transforms.push_back(type->name);
    }
    check_names(Section::kRoute, route.name, "transforms", "transform", route.transforms,
                transforms);
    check_places(route);
    check_skipping(route);
    check_archive(route);
    check_remote_sources(route);
    check_fixed_name(route);
  }

  void check_names(Section section, const std::string& of, std::string_view key,
                   std::string_view kind, const std::vector<std::string>& names,
                   const std::vector<std::string_view>& known) {
    for (auto name = names.begin(); name != names.end(); ++name) {
      if (std::ranges::find(known, *name) == known.end()) {
        complain(section, of, key, "{}: unknown {} '{}'{}", key, kind, without_password(*name),
                 suggestion(*name, known));
      } else if (std::find(names.begin(), name, *name) != name && key != "transforms") {
        complain(section, of, key, "{}: names '{}' twice", key, *name);
      }
    }
  }

  const DestinationSettings* destination(std::string_view name) const {
    const auto found = std::ranges::find(settings_.destinations, name, &DestinationSettings::name);
    return found == settings_.destinations.end() ? nullptr : &*found;
  }

  /// Two names for one place: a file that goes to both is delivered there twice.
  const DestinationSettings* same_place(std::string_view one, std::string_view other) const {
    const auto* first = destination(one);
    const auto* second = destination(other);
    const bool same = one != other && first != nullptr && second != nullptr &&
                      is_same_place(first->url, second->url);
    return same ? second : nullptr;
  }

  void check_places(const RouteSettings& route) {
    for (auto one = route.to.begin(); one != route.to.end(); ++one) {
      for (auto other = std::next(one); other != route.to.end(); ++other) {
        if (const auto* place = same_place(*one, *other)) {
          complain(Section::kRoute, route.name, "to",
                   "to: '{}' and '{}' are the same place, {}: its files would be delivered there "
                   "twice",
                   *one, *other, place->url.to_string());
        }
      }
    }
  }

  void check_places(const std::vector<std::string>& names) {
    for (auto one = names.begin(); one != names.end(); ++one) {
      for (auto other = std::next(one); other != names.end(); ++other) {
        if (const auto* place = same_place(*one, *other)) {
          complain(Section::kDestination, *other, "url",
                   "is the same place as '{}', {}: every file would be delivered there twice", *one,
                   place->url.to_string());
        }
      }
    }
  }

  void check_skipping(const RouteSettings& route) {
    if (route.existing != transfer::IfExists::kSkip) return;
    if (route.after == transfer::AfterDelivery::kKeep) return;
    complain(Section::kRoute, route.name, "after",
             "after: a file that existing = \"skip\" leaves out is not at the destination: its "
             "source has to stay (after = \"keep\")");
  }

  void check_archive(const RouteSettings& route) {
    const bool archives = route.after == transfer::AfterDelivery::kArchive;
    if (archives && route.archive.empty()) {
      complain(Section::kRoute, route.name, "after", "after = \"archive\" needs archive = \"DIR\"");
    }
    if (!archives && !route.archive.empty()) {
      complain(Section::kRoute, route.name, "archive",
               "archive is of no use without after = \"archive\"");
    }
    if (route.archive.empty()) return;
    check_beside_own(route);
    std::set<std::string> accounts;  // that it archives with
    for (const LandingSettings& landing : settings_.landings) {
      if (takes_from(route, landing)) accounts.insert(whereabouts_of(landing).account);
    }
    for (const LandingSettings& landing : settings_.landings) {
      const Whereabouts area = whereabouts_of(landing);
      if (!accounts.contains(area.account) || !area.directory.is_absolute()) continue;
      if (is_visible_in(area, route.archive)) {
        complain(
            Section::kRoute, route.name, "archive",
            "archive {} lies in the landing area '{}': what is archived would land again; put it "
            "elsewhere, or below a dot directory",
            route.archive.string(), landing.name);
      } else if (lies_inside(area, route.archive)) {
        complain(Section::kRoute, route.name, "archive",
                 "the landing area '{}' lies in the archive {}: what is archived could land again; "
                 "put it elsewhere",
                 landing.name, route.archive.string());
      }
    }
  }

  /// Uploaders choose the names in an archive.
  void check_beside_own(const RouteSettings& route) {
    auto local = local_landings(settings_);
    const bool is_local = std::ranges::any_of(
        local, [&](const LandingSettings& landing) { return takes_from(route, landing); });
    if (!is_local || !route.archive.is_absolute()) return;
    const auto check = [&](std::string_view what, const fs::path& own) {
      if (own.empty() || (!lies_inside(route.archive, own) && !lies_inside(own, route.archive))) {
        return;
      }
      complain(Section::kRoute, route.name, "archive",
               "archive {} and the {} {} overlap: archived files would be taken for what ferry "
               "keeps there; put it elsewhere",
               route.archive.string(), what, own.string());
    };
    check("metastore", settings_.general.metastore.directory());
    if (!settings_.general.metastore.is_directory()) {
      check("state_dir", state_directory(settings_).path());
    }
    check("spool", settings_.transfer.spool);
    for (const LandingSettings& landing : local) {
      if (!lies_inside(landing.path, route.archive)) check("quarantine", quarantine_of(landing));
    }
  }

  /// An area on a server that ROUTE takes files from.
  const LandingSettings* remote_area_of(const RouteSettings& route) const {
    const auto found = std::ranges::find_if(settings_.landings, [&](const LandingSettings& one) {
      return one.is_remote() && takes_from(route, one);
    });
    return found == settings_.landings.end() ? nullptr : &*found;
  }

  void check_remote_sources(const RouteSettings& route) {
    const LandingSettings* remote = remote_area_of(route);
    if (remote == nullptr || route.validate.empty()) return;
    complain(Section::kRoute, route.name, "validate",
             "validate: no command can look at files on servers, and the landing area '{}' lies "
             "on one: name the others with 'landing', and give '{}' a route of its own",
             remote->name, remote->name);
  }

  void check_fixed_name(const RouteSettings& route) {
    if (!route.rename.pattern || route.rename.pattern->has_variables()) return;
    const bool one_file = route.match.size() == 1 && Glob(route.match[0]).is_literal();
    if (one_file) return;
    complain(Section::kRoute, route.name, "rename",
             "rename gives every file the same name, '{}': use {{name}}, {{id}} or {{date}} in it",
             route.rename.pattern->text());
  }

  void check_pairs() {
    for (std::size_t later = 1; later < routes_.size(); ++later) {
      for (std::size_t earlier = 0; earlier < later; ++earlier) {
        check_pair(routes_[earlier], routes_[later]);
      }
    }
  }

  void check_pair(const transfer::Route& earlier, const transfer::Route& later) {
    const auto shared = shared_place(earlier, later);
    if (settings_.general.routing == transfer::Routing::kFirst) {
      if (takes_all_of(earlier, later)) {
        complain(Section::kRoute, later.name, "match",
                 "never takes a file: route '{}' before it takes them all", earlier.name);
        return;
      }
    } else if (const auto other = shared_place(earlier, later, Names::kDifferent);
               other && share_files(earlier, later)) {
      complain(Section::kRoute, later.name, "to",
               "a file may go to '{}' by this route and by route '{}': it would be delivered there "
               "twice",
               *other, earlier.name);
      return;
    }
    if (shared && earlier.rename && later.rename && !earlier.rename->has_variables() &&
        earlier.rename->text() == later.rename->text()) {
      complain(Section::kRoute, later.name, "rename",
               "route '{}' gives its files the same name at '{}'", earlier.name, *shared);
    }
  }

  /// Of one destination only the first route counts; two that are one place would get a file twice.
  enum class Names : std::uint8_t { kAny, kDifferent };

  /// A destination of LATER that is one of EARLIER's too, or the same place.
  std::optional<std::string> shared_place(const transfer::Route& earlier,
                                          const transfer::Route& later,
                                          Names names = Names::kAny) const {
    for (const std::string& one : earlier.destinations) {
      for (const std::string& other : later.destinations) {
        const bool is_same_name = one == other && names == Names::kAny;
        if (is_same_name || same_place(one, other) != nullptr) return other;
      }
    }
    return std::nullopt;
  }

  static bool share_landing(const transfer::Route& one, const transfer::Route& other) {
    return one.landings.empty() || other.landings.empty() ||
           std::ranges::find_first_of(one.landings, other.landings) != one.landings.end();
  }

  static bool share_files(const transfer::Route& one, const transfer::Route& other) {
    if (!share_landing(one, other)) return false;
    if (one.match.empty() || other.match.empty()) return true;
    return std::ranges::any_of(one.match, [&](const Glob& glob) {
      return std::ranges::any_of(other.match,
                                 [&](const Glob& second) { return overlap(glob, second); });
    });
  }

  /// As far as it shows without comparing patterns: EARLIER takes everything, or has all of LATER's
  /// patterns.
  static bool takes_all_of(const transfer::Route& earlier, const transfer::Route& later) {
    const bool areas = std::ranges::all_of(later.landings, [&](const std::string& landing) {
      return earlier.landings.empty() ||
             std::ranges::find(earlier.landings, landing) != earlier.landings.end();
    });
    if (!areas || (later.landings.empty() && !earlier.landings.empty())) return false;
    if (earlier.match.empty() || std::ranges::any_of(earlier.match, &Glob::matches_everything)) {
      return true;
    }
    return !later.match.empty() && std::ranges::all_of(later.match, [&](const Glob& glob) {
      return std::ranges::any_of(
          earlier.match, [&](const Glob& other) { return other.pattern() == glob.pattern(); });
    });
  }

  const Settings& settings_;
  std::vector<transfer::Route> routes_;
  std::vector<Contradiction> found_;
};

}  // namespace

std::vector<Contradiction> find_contradictions(const Settings& settings) {
  return Rules(settings).apply();
}

}  // namespace ferry::app

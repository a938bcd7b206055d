#include "app/delivery/transfer_preview.h"

#include <fmt/format.h>

#include "ferry/base/json.h"
#include "ferry/base/text.h"

#include "app/delivery/transfer_run.h"
#include "app/output.h"

namespace ferry::app {
namespace {

/// The name that the file is to get at the destination.
Result<std::string> name_at(const std::string& destination, const metastore::FileRecord& file,
                            const transfer::Routes* routes) {
  if (routes == nullptr) return file.path;
  return transfer::remote_name(routes->find(file.landing, file.path, destination), file);
}

std::string to_sentence(const std::string& destination, const metastore::FileRecord& file,
                        const Result<std::string>& name) {
  const std::string path = escape_controls(file.path);
  if (!name) {
    return fmt::format("would give up {} for {}: {}\n", path, destination,
                       escape_controls(name.error().message));
  }
  return fmt::format("would deliver {} to {}{}\n", path, destination,
                     *name == file.path ? "" : " as " + escape_controls(*name));
}

Json to_json(const std::string& destination, const metastore::FileRecord& file,
             const Result<std::string>& name) {
  Json json{{"destination", destination},
            {"id", file.id},
            {"path", file.path},
            {"landing", file.landing},
            {"size", file.identity ? Json(file.identity->size) : Json()},
            {"remote_name", name ? Json(*name) : Json()}};
  if (!name) json["error"] = name.error().message;
  return json;
}

}  // namespace

Outcome<ExitStatus> preview_transfer(const TransferPlan& plan, metastore::Metastore& store,
                                     bool as_json, ExitStatus idle) {
  bool any = false;
  bool has_unfit = false;
  LeftOut left_out;
  for (const transfer::Destination& destination : plan.destinations) {
    const auto options = plan.options_for(destination.name);
    const auto files = transfer::select(store, destination.name, options);
    if (!files) return std::unexpected(files.error());
    const auto left = find_left_out(destination.name, store, plan);
    if (!left) return fail(left.error(), Origin::kMetastore);
    left_out.given_up += left->given_up;
    left_out.in_no_area += left->in_no_area;
    for (const metastore::FileRecord& file : *files) {
      any = true;
      const auto name = name_at(destination.name, file, options.routes);
      has_unfit = has_unfit || !name;
      if (as_json) {
        print_json(to_json(destination.name, file, name));
      } else {
        print(to_sentence(destination.name, file, name));
      }
    }
  }
  const std::string omissions = to_text(left_out);
  if (!as_json && !any) print(fmt::format("nothing to do{}\n", omissions));
  if (!as_json && any && !omissions.empty()) {
    print(fmt::format("left out: {}\n", omissions.substr(2)));
  }
  if (left_out != LeftOut{} || has_unfit) return ExitStatus::kSomeFailed;
  return any ? ExitStatus::kDone : idle;
}

}  // namespace ferry::app

// What somebody knows of the destinations, in a form in which a store remembers what follows from
// it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/metastore/rules.h"

namespace ferry::metastore {

/// Immutable.
struct Viewpoint {
  Demand demand;
  std::string fingerprint;  // two with the same one are answered alike
  bool is_private = false;  // nobody else can know what it answers: nothing of it is kept

  explicit Viewpoint(Demand known);

  /// The name of the area that the registry calls LANDING.
  const std::string& canonical(const std::string& landing) const;
  /// All labels that the registry may have for an area.
  std::vector<std::string> labels_of(std::string_view landing) const;
};

/// How DESTINATION stands: as VIEWPOINT sees it if that knows the destination (or if it is empty);
/// else as one that wants every file.
std::shared_ptr<const Viewpoint> viewpoint_for(std::shared_ptr<const Viewpoint> viewpoint,
                                               const std::string& destination);

}  // namespace ferry::metastore

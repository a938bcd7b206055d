#include <algorithm>
#include <array>

#include "transfer/transform/transform.h"

namespace ferry::transfer {

extern const TransformType kCommandType;
extern const TransformType kGzipType;
extern const TransformType kZstdType;
extern const TransformType kLineEndingsType;
extern const TransformType kCharsetType;

std::span<const TransformType* const> transform_types() {
  static constexpr std::array<const TransformType*, 5> kTypes{&kCommandType, &kGzipType, &kZstdType,
                                                              &kLineEndingsType, &kCharsetType};
  return kTypes;
}

const TransformType* find_transform_type(std::string_view name) {
  const auto types = transform_types();
  const auto found = std::ranges::find(types, name, &TransformType::name);
  return found == types.end() ? nullptr : *found;
}

}  // namespace ferry::transfer

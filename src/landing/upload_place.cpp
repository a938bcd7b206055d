#include "landing/upload_place.h"

#include "landing/local_place.h"

namespace ferry::landing {

Result<std::unique_ptr<UploadPlace>> open_place(const LandingArea& area, StopToken&) {
  auto root = Root::find(area.path);
  if (!root) return root.error();
  return std::make_unique<LocalPlace>(std::move(*root));
}

}  // namespace ferry::landing

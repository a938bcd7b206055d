#include "landing/upload/upload_place.h"

#include "landing/upload/local_place.h"
#include "landing/upload/remote_place.h"

namespace ferry::landing {

std::string place_name(const LandingArea& area) {
  if (!area.is_remote()) return area.path.string();
  const sftp::ConnectOptions& connect = area.location->connect;
  return sftp::Url{connect.user, connect.host, connect.port, area.location->directory}.to_string();
}

Result<std::unique_ptr<UploadPlace>> open_place(const LandingArea& area, StopToken& stop) {
  if (area.is_remote()) return RemotePlace::open(*area.location, stop);
  auto root = Root::find(area.path);
  if (!root) return root.error();
  return std::make_unique<LocalPlace>(std::move(*root));
}

}  // namespace ferry::landing

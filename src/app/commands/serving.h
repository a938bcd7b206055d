// What `ferry serve` and `ferry token` have in common.
#pragma once

#include "app/config/settings.h"

namespace ferry::app {

fs::path tokens_file(const Settings& settings);

}  // namespace ferry::app

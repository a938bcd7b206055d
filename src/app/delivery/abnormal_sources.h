// What becomes of sources that an agent found abnormal.
#pragma once

#include <functional>
#include <vector>

#include "ferry/landing/watch.h"
#include "ferry/metastore/metastore.h"
#include "ferry/transfer/agent.h"

namespace ferry::app {

/// For TransferOptions::on_abnormal: moves to quarantine what is as it was registered and abnormal
/// all the same. What changed or vanished is left to the watcher. METASTORE must outlive it.
std::function<void(const transfer::AbnormalSource&)> quarantine_abnormal_sources(
    metastore::Metastore& metastore, std::vector<landing::LandingArea> areas);

}  // namespace ferry::app

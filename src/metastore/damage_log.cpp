#include "metastore/damage_log.h"

#include "ferry/base/log.h"

namespace ferry::metastore {
namespace {

constexpr std::uint64_t kReportsPerReading = 10;

}  // namespace

void DamageLog::add(const std::string& table, std::uint64_t line, const std::string& reason) {
  damages_.push_back({.table = table, .line = line, .reason = reason});
  if (reported_ == kReportsPerReading) {
    ++unreported_;
    return;
  }
  ++reported_;
  log::warning("damaged row left out", {{"table", table}, {"line", line}, {"reason", reason}});
}

void DamageLog::end_reading(const std::string& table) {
  if (unreported_ > 0) {
    log::warning("more damaged rows left out", {{"table", table}, {"rows", unreported_}});
  }
  reported_ = 0;
  unreported_ = 0;
}

}  // namespace ferry::metastore

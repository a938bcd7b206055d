#include "landing/watch/watch_tree.h"

namespace ferry::landing {

void WatchTree::set(int watch, const std::string& directory) {
  forget(watch);
  if (const auto old = watches_.find(directory); old != watches_.end()) nodes_.erase(old->second);
  watches_[directory] = watch;
  nodes_[watch] = {directory, generation_};
}

const std::string* WatchTree::directory_of(int watch) const {
  const auto node = nodes_.find(watch);
  return node == nodes_.end() ? nullptr : &node->second.directory;
}

void WatchTree::forget(int watch) {
  const auto node = nodes_.find(watch);
  if (node == nodes_.end()) return;
  watches_.erase(node->second.directory);
  nodes_.erase(node);
}

std::vector<int> WatchTree::remove_below(const std::string& directory) {
  std::vector<int> removed;
  const auto remove = [&](std::map<std::string, int>::iterator item) {
    removed.push_back(item->second);
    nodes_.erase(item->second);
    return watches_.erase(item);
  };
  if (const auto own = watches_.find(directory); own != watches_.end()) remove(own);
  const std::string prefix = directory.empty() ? "" : directory + "/";
  auto item = watches_.lower_bound(prefix);
  while (item != watches_.end() && item->first.starts_with(prefix)) item = remove(item);
  return removed;
}

std::vector<int> WatchTree::remove_stale() {
  std::vector<int> stale;
  for (const auto& [watch, node] : nodes_) {
    if (node.generation != generation_) stale.push_back(watch);
  }
  for (const int watch : stale) forget(watch);
  return stale;
}

}  // namespace ferry::landing

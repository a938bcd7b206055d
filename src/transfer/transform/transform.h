// Streams of bytes through transforms: a little in, what comes of it out, in bounded memory.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ferry/base/result.h"
#include "ferry/base/stop.h"
#include "ferry/transfer/transform.h"

namespace ferry::transfer {

/// Takes output, in order; its error ends the transform.
using ByteSink = std::function<Result<void>(std::span<const std::byte> data)>;

/// Belongs to one thread, and is for one file. After an error it is of no more use. Errors: kBusy
/// if it may work later, kFailed if not, kCancelled after a stop.
class Transform {
 public:
  virtual ~Transform() = default;

  /// Takes the next bytes of the input. What they make may come now or later.
  virtual Result<void> write(std::span<const std::byte> data, const ByteSink& sink) = 0;
  /// There is no more input: gives SINK the rest.
  virtual Result<void> finish(const ByteSink& sink) = 0;
};

/// What commands are told of the file.
struct TransformedFile {
  std::string path;
  std::string id;
};

/// One after the other; messages begin with the name of the one that failed. A stop ends commands;
/// STOP outlives the chain.
Result<std::unique_ptr<Transform>> make_chain(const std::vector<TransformSettings>& transforms,
                                              const TransformedFile& file, const StopToken& stop);

/// Says the same for two chains if their output is the same. A command counts as another one when
/// its program, or any file that its arguments name by an absolute path, changed.
std::string fingerprint(const std::vector<TransformSettings>& transforms);

}  // namespace ferry::transfer

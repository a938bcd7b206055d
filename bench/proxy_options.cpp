#include "proxy_options.h"

#include <boost/program_options.hpp>
#include <iostream>
#include <sstream>
#include <stdexcept>

namespace ferry::bench {
namespace {

namespace po = boost::program_options;

std::vector<std::uint64_t> parse_list(const std::string& text) {
  std::vector<std::uint64_t> numbers;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, ',');) {
    numbers.push_back(std::stoull(part));
    if (numbers.back() == 0) throw std::invalid_argument("a connection carries at least one byte");
  }
  return numbers;
}

ByteRange parse_range(const std::string& text) {
  const auto colon = text.find(':');
  if (colon == std::string::npos) throw std::invalid_argument("expected MIN:MAX, not " + text);
  const ByteRange range{std::stoull(text.substr(0, colon)), std::stoull(text.substr(colon + 1))};
  if (range.min == 0 || range.max < range.min) {
    throw std::invalid_argument("expected 0 < MIN <= MAX, not " + text);
  }
  return range;
}

}  // namespace

std::optional<ProxyOptions> parse_options(int argc, char** argv) {
  ProxyOptions options;
  std::int64_t delay_ms = 0;
  std::size_t in_flight_mib = 64;
  po::options_description page("usage: line_proxy --target PORT [options]");
  auto add = page.add_options();
  add("help", "print this and exit");
  add("port", po::value(&options.port), "listen at 127.0.0.1:PORT; 0: at a free one");
  add("target", po::value(&options.target)->required(), "forward to 127.0.0.1:PORT");
  add("delay-ms", po::value(&delay_ms), "hold every byte this long, each way");
  add("in-flight-mib", po::value(&in_flight_mib), "what each direction holds at most [64]");
  add("cut-after-bytes", po::value<std::string>(), "N,N…: cut the first connection, the second…");
  add("cut-to-client-after", po::value<std::string>(), "the same, by the bytes to the client");
  add("cut-random", po::value<std::string>(), "MIN:MAX: cut each connection after so many bytes");
  add("stall-random", po::value<std::string>(), "MIN:MAX: the same, but it stays open and silent");
  add("cut-with", po::value(&options.faults.cut_with), "rst, fin or either [rst]");
  add("seed", po::value(&options.faults.seed), "of what is random [1]");
  add("max-faults", po::value(&options.faults.max_faults), "behave after this many");
  add("count-file", po::value(&options.count_file), "keep the totals here, as JSON");
  po::variables_map given;
  po::store(po::parse_command_line(argc, argv, page), given);
  if (given.contains("help")) {
    std::cout << page;
    return std::nullopt;
  }
  po::notify(given);
  options.line = {.delay = std::chrono::milliseconds(delay_ms), .in_flight = in_flight_mib << 20};
  const auto text = [&](const char* name) { return given[name].as<std::string>(); };
  auto& faults = options.faults;
  if (given.contains("cut-after-bytes")) faults.cut_after = parse_list(text("cut-after-bytes"));
  if (given.contains("cut-to-client-after")) {
    faults.cut_to_client_after = parse_list(text("cut-to-client-after"));
  }
  if (given.contains("cut-random")) faults.cut_random = parse_range(text("cut-random"));
  if (given.contains("stall-random")) faults.stall_random = parse_range(text("stall-random"));
  return options;
}

}  // namespace ferry::bench

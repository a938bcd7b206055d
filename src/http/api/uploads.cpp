#include <algorithm>
#include <cerrno>

#include "ferry/landing/upload.h"
#include "http/api/api.h"
#include "http/protocol/digest_field.h"

namespace ferry::http {
namespace {

constexpr std::size_t kBlockBytes = 128 * 1024;

/// What the header says about how the body is to be taken.
struct Terms {
  std::vector<Checksum> digests;
  bool no_clobber = false;
};

Answer<Terms> parse_terms(const Request& request) {
  Terms terms;
  // Without it a request has no body, whatever follows.
  if (!request.content_length && !request.field("transfer-encoding")) {
    return refuse(411, "invalid", "say how long the body is: Content-Length, or chunked");
  }
  // One body is one whole file, as it is: what would make it mean something else is not ignored.
  for (const char* name :
       {"content-range", "if-match", "if-modified-since", "if-unmodified-since"}) {
    if (!request.field(name)) continue;
    return refuse(400, "invalid", fmt::format("an upload takes no {}", name));
  }
  const auto encoding = request.field("content-encoding");
  if (encoding && *encoding != "identity") {
    return refuse(415, "invalid", "send the file as it is, without Content-Encoding");
  }
  if (const auto condition = request.field("if-none-match")) {
    if (*condition != "*") return refuse(400, "invalid", "of If-None-Match only '*' is understood");
    terms.no_clobber = true;
  }
  for (const char* name : {"repr-digest", "content-digest"}) {
    const auto value = request.field(name);
    if (!value) continue;
    auto digests = parse_digest_field(*value);
    if (!digests) return std::unexpected(digests.error());
    terms.digests.insert(terms.digests.end(), digests->begin(), digests->end());
  }
  return terms;
}

Answer<void> receive(Call& call, landing::Upload& upload, const std::string& path,
                     const Terms& terms) {
  std::vector<HashAlgorithm> algorithms;
  for (const Checksum& digest : terms.digests) algorithms.push_back(digest.algorithm);
  const auto file = upload.open(path, algorithms);
  if (!file) return refuse_upload(file.error().error);
  std::vector<std::byte> block(kBlockBytes);
  GrantCheck grant(call);
  for (;;) {
    const auto count = call.exchange.read(block);
    if (!count) return std::unexpected(count.error());
    if (*count == 0) break;
    if (auto granted = grant.ask_at_times(); !granted) return granted;
    if (auto written = (*file)->write(std::span(block).first(*count)); !written) {
      return refuse_upload(written.error());
    }
  }
  if (auto finished = (*file)->finish(terms.digests); !finished) {
    return refuse_upload(finished.error());
  }
  return {};
}

std::string join(std::span<const std::string> segments) {
  std::string path;
  for (std::size_t i = 0; i < segments.size(); ++i) path += (i == 0 ? "" : "/") + segments[i];
  return path;
}

}  // namespace

std::unexpected<Problem> refuse_upload(const Error& error, bool no_clobber) {
  auto refused = refuse(error);
  Problem& problem = refused.error();
  switch (error.os_code) {
    case ENAMETOOLONG:
      problem.status = 400;
      return refused;
    case ENOTDIR:
    case ELOOP:
    case EXDEV:
    case EISDIR:
      problem.status = 409;
      return refused;
    default:
      break;
  }
  if (error.kind == ErrorKind::kFailed && no_clobber) problem.status = 412;
  if (error.kind == ErrorKind::kNotFound) problem.status = 500;
  return refused;
}

Answer<const UploadArea*> find_area(const Context& context, const Grant& grant,
                                    const std::string& name, const std::string& path) {
  if (!grant.may_upload(name, path)) {
    return refuse(403, "denied", "this token may not upload there");
  }
  const auto area = std::ranges::find(context.configuration.areas, name, &UploadArea::name);
  if (area == context.configuration.areas.end()) {
    return refuse(404, "not_found", fmt::format("there is no landing area '{}'", name));
  }
  const bool has_empty = path.empty() || path.starts_with('/') || path.contains("//");
  if (has_empty) return refuse(400, "invalid", "the file's path has an empty name in it");
  if (auto fit = landing::check_upload_path(area->area, path); !fit) return refuse(fit.error());
  return &*area;
}

Answer<Response> put_file(const Context& context, Call& call) {
  const std::string path = join(std::span(call.arguments).subspan(1));
  const auto found = find_area(context, call.grant, call.arguments.front(), path);
  if (!found) return std::unexpected(found.error());
  const landing::LandingArea& area = (*found)->area;
  const auto terms = parse_terms(call.exchange.request());
  if (!terms) return std::unexpected(terms.error());

  if (auto fit = landing::check_announced(area, path, call.exchange.request().content_length);
      !fit) {
    return refuse_upload(fit.error());
  }

  auto upload = landing::Upload::begin(
      context.store,
      {.area = area, .journals = context.configuration.journals, .no_clobber = terms->no_clobber},
      context.stop);
  if (!upload) return refuse_upload(upload.error().error);
  if (auto received = receive(call, **upload, path, *terms); !received) {
    return std::unexpected(received.error());
  }
  if (auto granted = call.is_still_granted(); !granted) return std::unexpected(granted.error());
  const auto records = (*upload)->commit();
  if (!records) return refuse_upload(records.error().error, terms->no_clobber);
  const metastore::FileRecord& record = records->front();
  Response response = json_response(201, row_to_json(record));
  response.fields.emplace_back("Location", "/v1/files/" + percent_encode(record.id));
  return response;
}

}  // namespace ferry::http

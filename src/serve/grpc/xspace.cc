#include "serve/grpc/xspace.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "formats/proto_wire/wire_writer.h"

namespace tenon::serve::rpc {
namespace {

using proto_wire::Writer;
using Clock = Tracer::Clock;

constexpr std::int64_t kRowsStat = 1;

std::int64_t Picoseconds(Clock::duration time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time).count() * 1000;
}

/// By line; the requests, which overlap, on the first line that is free when they begin.
std::map<std::string, std::vector<const Span*>> Lines(std::span<const Span> spans) {
  std::vector<const Span*> sorted;
  for (const Span& span : spans) sorted.push_back(&span);
  std::ranges::stable_sort(sorted, {}, &Span::begin);
  std::map<std::string, std::vector<const Span*>> lines;
  std::vector<Clock::time_point> busy;  // until when, of each line of requests
  for (const Span* const span : sorted) {
    if (!span->track.empty()) {
      lines[span->track].push_back(span);
      continue;
    }
    auto free = std::ranges::find_if(busy, [&](Clock::time_point until) { return until <= span->begin; });
    if (free == busy.end()) free = busy.insert(busy.end(), Clock::time_point());
    *free = span->end;
    lines[fmt::format("requests {:03}", free - busy.begin() + 1)].push_back(span);
  }
  return lines;
}

}  // namespace

std::string XSpaceOf(std::span<const Span> spans, Clock::time_point begun, std::int64_t dropped,
                     const std::string& host) {
  const auto since_epoch = std::chrono::system_clock::now().time_since_epoch() - (Clock::now() - begun);
  const std::int64_t begun_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(since_epoch).count();
  std::map<std::string_view, std::int64_t> names;
  for (const Span& span : spans) names.try_emplace(span.name, static_cast<std::int64_t>(names.size()) + 1);
  Writer w;
  const auto metadata = [&](std::uint32_t field, std::int64_t id, std::string_view name) {
    w.Message(field, [&] {
      w.Varint(1, id);
      w.Message(2, [&] {
        w.Varint(1, id);
        w.Bytes(2, name);
      });
    });
  };
  w.Message(1, [&] {
    w.Bytes(2, "/host:CPU");
    std::int64_t id = 0;
    for (const auto& [name, line] : Lines(spans)) {
      w.Message(3, [&] {
        w.Varint(1, ++id);
        w.Bytes(2, name);
        w.Varint(3, begun_ns);
        for (const Span* const span : line) {
          const Clock::time_point from = std::max(span->begin, begun);
          w.Message(4, [&] {
            w.Varint(1, names.at(span->name));
            w.Varint(2, Picoseconds(from - begun));
            w.Varint(3, Picoseconds(span->end - from));
            if (span->rows < 0) return;
            w.Message(4, [&] {
              w.Varint(1, kRowsStat);
              w.Varint(4, span->rows);
            });
          });
        }
      });
    }
    for (const auto& [name, number] : names) metadata(4, number, name);
    metadata(5, kRowsStat, "rows");
  });
  if (dropped > 0) w.Bytes(3, fmt::format("{} spans beyond the first {} were dropped", dropped, Tracer::kMost));
  w.Text(4, host);
  return std::move(w).Take();
}

}  // namespace tenon::serve::rpc

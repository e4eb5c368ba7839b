// XSpace: a trace in the form that TensorFlow's profiler and TensorBoard read.
//
//   XSpace          planes 1 XPlane, warnings 3 string, hostnames 4 string
//   XPlane          id 1, name 2, lines 3 XLine, event_metadata 4 map<int64, XEventMetadata {id 1, name 2}>,
//                   stat_metadata 5 map<int64, XStatMetadata {id 1, name 2}>
//   XLine           id 1, name 2, timestamp_ns 3 (since the epoch), events 4 XEvent
//   XEvent          metadata_id 1, offset_ps 2 (from the line's timestamp), duration_ps 3, stats 4 XStat
//   XStat           metadata_id 1, int64_value 4
#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "serve/core/tracer.h"

namespace tenon::serve::rpc {

/// The spans as the plane "/host:CPU": a line for each track, and as many lines of requests as ran at a time. What
/// began before `begun` is shown from there on. `dropped` > 0 is said by a warning.
std::string XSpaceOf(std::span<const Span> spans, Tracer::Clock::time_point begun, std::int64_t dropped,
                     const std::string& host);

}  // namespace tenon::serve::rpc

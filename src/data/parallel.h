// The steps with threads of their own.
#pragma once
#include <functional>

#include "tenon/data.h"

namespace tenon::data::pipeline {

/// Map in the consumer's thread (steps.cc); of rows it stays a source of rows.
NodePtr MapHere(const NodePtr& source, std::function<Element(Element)> body);

}  // namespace tenon::data::pipeline

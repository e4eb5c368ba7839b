// A verification report as JSON.
#pragma once
#include <string>

#include "tenon/verify.h"

namespace tenon::tools {

std::string ReportJson(const verify::Report& report);

}  // namespace tenon::tools

# The table of ops: src/ops/x.cc defines the span x_ops; this lists them all. No registrar objects, so nothing can be
# dropped by the linker, and a file without its span fails at link time with its name in the message.
# As a script ("cmake -P cmake/op_table.cmake" in a tree) it writes generated/op_table.cc there.
set(watched CONFIGURE_DEPENDS)
if(CMAKE_SCRIPT_MODE_FILE)
  set(watched "")
endif()
file(GLOB op_files ${watched} ${CMAKE_SOURCE_DIR}/src/ops/*.cc)
list(FILTER op_files EXCLUDE REGEX "(^|_|/)(test|util)\\.cc$")
list(SORT op_files)
set(declarations "")
set(entries "")
foreach(file IN LISTS op_files)
  get_filename_component(stem ${file} NAME_WE)
  string(APPEND declarations "extern const std::span<const OpDef> ${stem}_ops;\n")
  string(APPEND entries "      {\"${stem}\", ops::${stem}_ops},\n")
endforeach()
set(TENON_OP_TABLE ${CMAKE_BINARY_DIR}/generated/op_table.cc)
file(CONFIGURE OUTPUT ${TENON_OP_TABLE} CONTENT
"// Generated from the files in src/ops by cmake/op_table.cmake. Do not edit.
#include \"ir/op_table.h\"

namespace tenon::ir {
namespace ops {
${declarations}}  // namespace ops
std::span<const OpFamily> OpFamilies() {
  static const OpFamily kAll[] = {
${entries}  };
  return kAll;
}
}  // namespace tenon::ir
" @ONLY)

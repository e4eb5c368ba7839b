// What a stranger does first: includes the public headers, makes a value, asks for something wrong.
#include <cstdint>
#include <iostream>

#include "tenon/types.h"

int main() {
  tenon::Shape shape{2, 3};
  std::cout << shape.to_string() << '\n';
  return shape.rank() == 2 ? 0 : 1;
}

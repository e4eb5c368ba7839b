// The faults: what goes wrong when a network is carried from one framework to another by hand or by a converter.
#include "verify_faults_edit.h"

namespace tenon::faults {

const std::vector<Fault>& Faults() {
  static const std::vector<Fault> kAll = [] {
    std::vector<Fault> all;
    for (const auto* list : {&CnnFaults(), &MlpFaults(), &SequenceFaults(), &ShapeFaults(), &FixtureFaults()})
      all.insert(all.end(), list->begin(), list->end());
    return all;
  }();
  return kAll;
}

}  // namespace tenon::faults

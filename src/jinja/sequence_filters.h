// The filters that take sequences, by name (filters.cc). Internal to this module.
#pragma once

#include "jinja/value.h"

namespace dashf::jinja {

using FilterFunction = Value (*)(Arguments, Budget&);

Value FilterFirst(Arguments arguments, Budget& budget);
Value FilterLast(Arguments arguments, Budget& budget);
Value FilterJoin(Arguments arguments, Budget& budget);
Value FilterMap(Arguments arguments, Budget& budget);
Value FilterSelect(Arguments arguments, Budget& budget);
Value FilterReject(Arguments arguments, Budget& budget);
Value FilterSelectAttribute(Arguments arguments, Budget& budget);
Value FilterRejectAttribute(Arguments arguments, Budget& budget);
Value FilterSort(Arguments arguments, Budget& budget);
Value FilterDictSort(Arguments arguments, Budget& budget);
Value FilterUnique(Arguments arguments, Budget& budget);
Value FilterReverse(Arguments arguments, Budget& budget);
Value FilterMinimum(Arguments arguments, Budget& budget);
Value FilterMaximum(Arguments arguments, Budget& budget);
Value FilterSum(Arguments arguments, Budget& budget);
Value FilterBatch(Arguments arguments, Budget& budget);
Value FilterSlice(Arguments arguments, Budget& budget);

}  // namespace dashf::jinja

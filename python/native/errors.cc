#include "errors.h"

namespace dashf::python {

namespace nb = nanobind;

void Raise(const Error& error) {
  const nb::object exception = nb::module_::import_("dashf.errors")
                                   .attr("of_kind")(static_cast<int>(error.kind),
                                                    nb::str(error.where.c_str()),
                                                    nb::str(error.message.c_str()));
  PyErr_SetObject(exception.type().ptr(), exception.ptr());
  throw nb::python_error();
}

}  // namespace dashf::python

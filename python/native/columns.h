// Columns of numbers in rows of structures, for NumPy: read as views, which copy nothing, and
// written from arrays of any stride.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "errors.h"

namespace dashf::python {

using Numbers = nanobind::ndarray<const double, nanobind::ndim<1>, nanobind::device::cpu>;
using Table = nanobind::ndarray<const double, nanobind::ndim<2>, nanobind::device::cpu>;
using Integers = nanobind::ndarray<const std::int64_t, nanobind::ndim<1>, nanobind::device::cpu>;
using Array = nanobind::ndarray<nanobind::numpy, const double>;
using IntArray = nanobind::ndarray<nanobind::numpy, const int>;

template <class Row>
struct Column {
  std::string_view name;
  double& (*of)(Row& row);
};

// `columns` consecutive doubles of each row, from `first` in the first one; the view keeps `owner`.
template <class Row>
Array View(const std::vector<Row>& rows,
           const double* first,
           nanobind::handle owner,
           std::size_t columns = 0) {
  static_assert(sizeof(Row) % sizeof(double) == 0);
  const std::size_t shape[] = {rows.size(), columns};
  const std::int64_t strides[] = {sizeof(Row) / sizeof(double), 1};
  return Array(first, columns == 0 ? 1 : 2, shape, owner, strides);
}
template <class Row>
IntArray View(const std::vector<Row>& rows, const int* first, nanobind::handle owner) {
  static_assert(sizeof(Row) % sizeof(int) == 0);
  const std::size_t shape[] = {rows.size()};
  const std::int64_t strides[] = {sizeof(Row) / sizeof(int)};
  return IntArray(first, 1, shape, owner, strides);
}

// Whole arrays that nothing else holds.
template <class T>
nanobind::ndarray<nanobind::numpy, const T> Own(std::vector<T> values,
                                                std::vector<std::size_t> shape) {
  auto* kept = new std::vector<T>(std::move(values));
  const nanobind::capsule owner(
      kept, [](void* held) noexcept { delete static_cast<std::vector<T>*>(held); });
  return {kept->data(), shape.size(), shape.data(), owner};
}

template <class Row, std::size_t count>
const Column<Row>& ColumnNamed(const Column<Row> (&columns)[count], std::string_view name) {
  for (const Column<Row>& column : columns) {
    if (column.name == name) return column;
  }
  RaiseBadInput(std::string(name), "is no column");
}

// What `arrays` (name: array of one number per row) says of the rows.
template <class Row, std::size_t count>
void Assign(const Column<Row> (&columns)[count],
            const nanobind::dict& arrays,
            std::vector<Row>* rows) {
  for (const auto& [key, value] : arrays) {
    const Column<Row>& column = ColumnNamed(columns, nanobind::cast<std::string_view>(key));
    const auto numbers = nanobind::cast<Numbers>(value);
    if (numbers.shape(0) != rows->size())
      RaiseBadInput(std::string(column.name), "has a wrong length");
    for (std::size_t i = 0; i < rows->size(); ++i) column.of((*rows)[i]) = numbers(i);
  }
}

}  // namespace dashf::python

// Where this program and what ships with it lie.
#pragma once

#include <filesystem>
#include <string>

namespace dashf::cli {

std::filesystem::path OwnProgram();

// The model that ships: beside an installed binary, or in the source tree that holds the build.
std::string ShippedModel();

}  // namespace dashf::cli

// Where a node reads and writes, looked at before it does any work: nothing that is not the node's
// own is written over, and no file is waited for that is none.
#pragma once

#include <filesystem>
#include <string>

#include "base/error.h"
#include "runtime/node_config.h"

namespace dashf::runtime {

// The folders that the node fills (adapter, state, spool) are its own: none is the node's folder,
// another of its places, or a parent of one. `name` is the node file; paths are whole. kBadInput.
Expected<void> CheckPlacesApart(const std::string& name, const NodeConfig& config);

// Not there, empty, or with what a PEFT export has and nothing else. kBadInput names what it holds.
Expected<void> CheckAdapterFolder(const std::filesystem::path& folder);

// A file, or a folder (nothing in folders of it is looked at) whose entries are files and folders;
// what is not there is for reading to tell. kBadInput names the pipe, device or socket: opening one
// may take for ever.
Expected<void> CheckPlainFiles(const std::filesystem::path& path);

// kIo if the file system of `folder`, which need not be there yet, has less left.
Expected<void> CheckRoom(const std::filesystem::path& folder, double bytes);

}  // namespace dashf::runtime

#include "runtime/user_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/file.h"
#include "base/printable.h"
#include "fleet/codec.h"
#include "train/peft_io.h"

namespace dashf::runtime {
namespace {

namespace fs = std::filesystem;

constexpr char kMemory[] = "memory.json", kBest[] = "best.json";
constexpr char kBestLayers[] = "best.safetensors", kBase[] = "base.safetensors";
constexpr char kLocal[] = "local.safetensors", kReturned[] = "returned.safetensors";
constexpr char kCheckpoint[] = "local.checkpoint", kAdapter[] = "adapter.json";
constexpr char kTransfer[] = "transfer", kFleet[] = "fleet.json", kRounds[] = "rounds";
constexpr char kSchema[] = "dashf.user-state/1";

Expected<nlohmann::json> ReadJson(const fs::path& path) {
  const auto text = ReadFile(path, std::uint64_t{16} << 20);
  if (!text) return tl::unexpected(text.error());
  auto json = nlohmann::json::parse(*text, nullptr, false);
  if (json.is_object() && json.value("schema", "") == kSchema) return json;
  return Fail(ErrorKind::kBadInput, path.string(), fmt::format("must be of schema {}", kSchema));
}

// `entry` is one of `places`, a parent of one, or a file of a name that goes on from one's, as
// those of telemetry that has been rotated.
bool LeadsTo(const fs::path& entry, const std::vector<fs::path>& places) {
  const std::string name = fs::absolute(entry).lexically_normal().string();
  return std::any_of(places.begin(), places.end(), [&](const fs::path& place) {
    if (place.empty()) return false;
    const std::string other = fs::absolute(place).lexically_normal().string();
    return name == other || other.starts_with(name + "/") || name.starts_with(other + ".");
  });
}

}  // namespace

Expected<void> UserFolder::CheckState(const fs::path& folder,
                                      const std::vector<fs::path>& may_lie_there) {
  std::error_code failed;
  if (!fs::exists(folder, failed)) return {};
  for (const char* own : {kAdapter, kMemory}) {
    if (ReadJson(folder / own)) return {};
  }
  for (fs::directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed)) {
    if (at->path().filename() == "lost+found" || LeadsTo(at->path(), may_lie_there)) continue;
    return Fail(ErrorKind::kBadInput,
                folder.string(),
                fmt::format("is no user's state: holds {}; name a new or an empty folder",
                            PrintableLine(at->path().filename().string())));
  }
  if (failed) return Fail(ErrorKind::kIo, folder.string(), failed.message());
  return {};
}

UserFolder::UserFolder(fs::path state_folder,
                       fs::path adapter_folder,
                       std::string model_folder,
                       const train::ModelConfig& model,
                       train::Adapter fresh)
    : state_folder_(std::move(state_folder)),
      adapter_folder_(std::move(adapter_folder)),
      model_folder_(std::move(model_folder)),
      model_(model),
      fresh_(std::move(fresh)) {}

Expected<UserFolder> UserFolder::Open(const fs::path& state_folder,
                                      const fs::path& adapter_folder,
                                      const std::string& model_folder,
                                      const train::ModelConfig& model,
                                      train::Adapter fresh,
                                      const std::string& adapter_settings,
                                      const std::string& fleet) {
  std::error_code failed;
  fs::create_directories(state_folder, failed);
  if (failed) return Fail(ErrorKind::kIo, state_folder.string(), failed.message());
  UserFolder folder(state_folder, adapter_folder, model_folder, model, std::move(fresh));
  if (auto done = folder.TakeSettings(adapter_settings); !done) return tl::unexpected(done.error());
  if (auto done = folder.TakeFleet(fleet); !done) return tl::unexpected(done.error());
  if (auto sound = folder.Adapter(0, 0); !sound) return tl::unexpected(sound.error());
  return folder;
}

// What comes of other settings, of another shape or scale, is no beginning. Each round's adapter
// stays where it is.
Expected<void> UserFolder::TakeSettings(const std::string& adapter_settings) {
  const fs::path path = state_folder_ / kAdapter;
  const auto wanted = nlohmann::json::parse(adapter_settings);
  if (fs::exists(path)) {
    const auto last = ReadJson(path);
    if (!last) return tl::unexpected(last.error());
    if (last->value("adapter", nlohmann::json()) == wanted) return {};
    begins_anew_ = fs::exists(state_folder_ / kBestLayers);
    std::error_code failed;
    for (const char* old : {kBase, kLocal, kReturned, kCheckpoint, kBest, kBestLayers}) {
      fs::remove(state_folder_ / old, failed);
      if (failed) return Fail(ErrorKind::kIo, (state_folder_ / old).string(), failed.message());
    }
    fs::remove_all(state_folder_ / kTransfer, failed);
  }
  const nlohmann::json json = {{"schema", kSchema}, {"adapter", wanted}};
  return WriteFileAtomically(path, json.dump() + "\n");
}

// Numbers of rounds and attempts are a fleet's own: what was remembered of another's would be taken
// for work of this one's that is done.
Expected<void> UserFolder::TakeFleet(const std::string& fleet) {
  const fs::path path = state_folder_ / kFleet;
  std::string last;
  if (fs::exists(path)) {
    const auto json = ReadJson(path);
    if (!json) return tl::unexpected(json.error());
    last = json->value("fleet", "");
    if (last == fleet) return {};
  }
  std::error_code failed;
  if (const fs::path rounds = state_folder_ / kRounds; fs::exists(rounds)) {
    const std::string name = fmt::format("{}-of-{}", kRounds, last.empty() ? "earlier" : last);
    put_aside_ = state_folder_ / name;
    for (int i = 2; fs::exists(put_aside_); ++i) {
      put_aside_ = state_folder_ / fmt::format("{}-{}", name, i);
    }
    fs::rename(rounds, put_aside_, failed);
    if (failed) return Fail(ErrorKind::kIo, rounds.string(), failed.message());
  }
  for (const char* old : {kMemory, kBase, kLocal, kReturned, kCheckpoint}) {
    fs::remove(state_folder_ / old, failed);
    if (failed) return Fail(ErrorKind::kIo, (state_folder_ / old).string(), failed.message());
  }
  fs::remove_all(state_folder_ / kTransfer, failed);
  const nlohmann::json json = {{"schema", kSchema}, {"fleet", fleet}};
  return WriteFileAtomically(path, json.dump() + "\n");
}

Expected<fleet::UserMemory> UserFolder::ReadMemory() const {
  if (!fs::exists(state_folder_ / kMemory)) return fleet::UserMemory{};
  const auto json = ReadJson(state_folder_ / kMemory);
  if (!json) return tl::unexpected(json.error());
  auto memory = fleet::UserMemoryFromJson(json->value("memory", nlohmann::json()));
  if (memory) return memory;
  return Fail(ErrorKind::kBadInput, (state_folder_ / kMemory).string(), memory.error().Text());
}

Expected<void> UserFolder::WriteMemory(const fleet::UserMemory& memory) const {
  const nlohmann::json json = {{"schema", kSchema}, {"memory", fleet::ToJson(memory)}};
  return WriteFileAtomically(
      state_folder_ / kMemory,
      json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

Expected<void> UserFolder::BeginRound() const {
  std::error_code failed;
  for (const char* old : {kLocal, kReturned, kBase, kCheckpoint})
    fs::remove(state_folder_ / old, failed);
  fs::remove_all(state_folder_ / kTransfer, failed);
  if (!fs::exists(state_folder_ / kBestLayers)) return {};
  const auto best = ReadFile(state_folder_ / kBestLayers);
  if (!best) return tl::unexpected(best.error());
  return WriteFileAtomically(state_folder_ / kBase, *best);
}

fs::path UserFolder::TransferFolder(std::uint32_t round, int attempt) const {
  return state_folder_ / kTransfer / fmt::format("{}-{}", round, attempt);
}

bool UserFolder::GoesOn() const {
  return fs::exists(state_folder_ / kBase);
}

Expected<void> UserFolder::WriteLocal(const train::Adapter& adapter, int k) const {
  auto written = WriteFileAtomically(state_folder_ / kLocal, train::EncodeLayers(adapter, 1, k));
  std::error_code ignored;
  if (written) fs::remove(CheckpointPath(), ignored);
  return written;
}

fs::path UserFolder::CheckpointPath() const {
  return state_folder_ / kCheckpoint;
}

Expected<void> UserFolder::WriteReturned(const std::string& layers) const {
  return WriteFileAtomically(state_folder_ / kReturned, layers);
}

Expected<train::Adapter> UserFolder::Adapter(int k, int first) const {
  train::Adapter adapter = fresh_;
  const auto take = [&](const char* name, int from, int to) -> Expected<void> {
    const auto bytes = ReadFile(state_folder_ / name);
    if (!bytes) return tl::unexpected(bytes.error());
    auto taken = train::DecodeLayers(*bytes, from, to, model_, &adapter);
    if (taken) return taken;
    return Fail(taken.error().kind, (state_folder_ / name).string(), taken.error().Text());
  };
  Expected<void> done;
  if (GoesOn()) done = take(kBase, 1, model_.layers);
  if (done && k > 0) done = take(kLocal, 1, k);
  if (done && first > 0) done = take(kReturned, first, model_.layers);
  if (!done) return tl::unexpected(done.error());
  return adapter;
}

// File by file, in the place of its own former ones alone: whatever else lies there stays.
Expected<void> UserFolder::WritePeft(const train::Adapter& adapter, const fs::path& folder) const {
  return train::SaveAdapter(adapter, model_, model_folder_, folder);
}

Expected<std::optional<UserFolder::Best>> UserFolder::ReadBest(const std::string& held_out_sha256,
                                                               const Loss& loss) const {
  if (!fs::exists(state_folder_ / kBest)) return std::nullopt;
  const auto json = ReadJson(state_folder_ / kBest);
  if (!json) return tl::unexpected(json.error());
  Best best{json->value("round", 0U), json->value("loss", 0.0)};
  if (json->value("held_out_sha256", "") == held_out_sha256) return best;
  const auto bytes = ReadFile(state_folder_ / kBestLayers);
  if (!bytes) return tl::unexpected(bytes.error());
  train::Adapter adapter = fresh_;
  if (auto taken = train::DecodeLayers(*bytes, 1, model_.layers, model_, &adapter); !taken) {
    return Fail(taken.error().kind, (state_folder_ / kBestLayers).string(), taken.error().Text());
  }
  const auto anew = loss(adapter);
  if (!anew) return tl::unexpected(anew.error());
  best.loss = *anew;
  return best;
}

Expected<void> UserFolder::WriteBest(const Best& best, const std::string& held_out_sha256) const {
  const nlohmann::json json = {{"schema", kSchema},
                               {"round", best.round},
                               {"loss", best.loss},
                               {"held_out_sha256", held_out_sha256}};
  return WriteFileAtomically(state_folder_ / kBest, json.dump() + "\n");
}

Expected<void> UserFolder::Keep(const train::Adapter& adapter,
                                std::uint32_t round,
                                const std::string& held_out_sha256,
                                const Loss& loss) const {
  const fs::path own = state_folder_ / kRounds / fmt::format("{:04}", round);
  std::error_code failed;
  fs::create_directories(own.parent_path(), failed);
  if (auto kept = WritePeft(adapter, own); !kept) return kept;
  const auto of_round = loss(adapter);
  if (!of_round) return tl::unexpected(of_round.error());
  const auto best = ReadBest(held_out_sha256, loss);
  if (!best) return tl::unexpected(best.error());
  if (*best && (*best)->round != round && (*best)->loss < *of_round &&
      fs::exists(adapter_folder_ / "adapter_config.json")) {
    return WriteBest(**best, held_out_sha256);
  }
  auto kept = WriteFileAtomically(state_folder_ / kBestLayers,
                                  train::EncodeLayers(adapter, 1, model_.layers));
  if (kept) kept = WriteBest({round, *of_round}, held_out_sha256);
  return kept ? WritePeft(adapter, adapter_folder_) : kept;
}

}  // namespace dashf::runtime

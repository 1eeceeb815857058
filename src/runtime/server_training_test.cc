#include "runtime/server_training.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <map>

#include "base/file.h"
#include "base/rng.h"
#include "train/peft_io.h"

namespace dashf::runtime {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
namespace fs = std::filesystem;

constexpr int kLayers = 3;

class ServerSide : public testing::Test {
 protected:
  ServerSide() {
    config_.node = ServerNode("s0");
    config_.training.adapter.lora.rank = 2;
    config_.training.epochs_server = 3;
    config_.training.batch_size = 2;
    config_.training.learning_rate = 1e-3;
    config_.training.tokens_max = 64;
    config_.server.device.compute.clock_hz_max = 1e9;
  }

  static BaseModel Base() {
    auto tokenizer = corpus::Tokenizer::Load(
        (std::filesystem::path(DASHF_SOURCE_DIR) / "src/corpus/testdata").string());
    train::ModelConfig config;
    config.layers = kLayers;
    config.hidden_size = 16;
    config.heads = config.kv_heads = 2;
    config.head_dim = 8;
    config.intermediate_size = 24;
    config.vocab_size = tokenizer->vocab_size();
    config.max_positions = 128;
    return {train::RandomModel(config, 1),
            std::move(*tokenizer),
            Fail(ErrorKind::kBadInput, "chat", "none here")};
  }

  // The user's upload, as its own training left it, in the store.
  TrainingJob Upload(const std::string& user, int k, double server_clock_hz = 1e9) {
    std::vector<corpus::Record> records;
    for (int i = 0; i < 5 + k; ++i) records.push_back({"Say it.", std::to_string(i), "no " + user});
    const auto adapter = train::InitialAdapter(base_.model.config(), config_.training.adapter, 1);
    const TrainingJob job{{user},
                          k,
                          kLayers,
                          corpus::WriteRecords(records),
                          k > 0 ? train::EncodeLayers(*adapter, 1, k) : "",
                          server_clock_hz,
                          {}};
    Send(job);
    return job;
  }

  void Send(const TrainingJob& job) {
    EXPECT_TRUE(store_->Expect(job.attempt, job.local_layers, kLayers, job.server_clock_hz));
    std::vector<std::string> artefacts = {job.data};
    if (!job.adapters.empty()) artefacts.push_back(job.adapters);
    std::vector<Announced> announced;
    for (const std::string& artefact : artefacts) announced.push_back(Announce(artefact));
    const auto turn = store_->BeginUpload(job.attempt, announced);
    ASSERT_TRUE(turn) << turn.error().reason;
    ChunkSource source({artefacts.begin(), artefacts.end()});
    for (ChunkView chunk; source.Next(&chunk);) {
      ASSERT_TRUE(store_->AddChunk(job.attempt, turn->number, chunk));
    }
    ASSERT_TRUE(store_->CommitUpload(job.attempt, turn->number));
  }

  using Reports = std::map<std::string, Expected<Trained>>;

  // Until `count` users have ended, in their order in `order_`.
  Reports Train(std::size_t count) {
    Reports reports;
    order_.clear();
    ServerTraining training(config_,
                            base_,
                            "digest",
                            *telemetry_,
                            store_.get(),
                            {.on_taken = [this](const Attempt& attempt) { on_taken_(attempt); },
                             .on_ended =
                                 [&](const Attempt& attempt, const Expected<Trained>& report) {
                                   order_.push_back(attempt.user);
                                   on_ended_(attempt);
                                   EXPECT_TRUE(reports.emplace(attempt.user, report).second)
                                       << attempt.user;
                                   if (reports.size() == count) store_->Close();
                                 }});
    training_ = &training;
    training.Run();
    training_ = nullptr;
    return reports;
  }

  void NewStore() { store_ = *UserStore::Open("", std::uint64_t{1} << 30); }

  std::string ResultOf(const Attempt& attempt) const {
    const auto result = store_->Result(attempt);
    return result ? result->Read(0).value() : "";
  }

  const BaseModel base_ = Base();
  const fs::path telemetry_path_ = fs::path(testing::TempDir()) / "telemetry.jsonl";
  std::optional<Telemetry> telemetry_ = *Telemetry::Open(telemetry_path_, ServerNode("s0"));
  NodeConfig config_;
  std::unique_ptr<UserStore> store_ = *UserStore::Open("", std::uint64_t{1} << 30);
  std::function<void(const Attempt&)> on_taken_ = [](const Attempt&) {};
  std::function<void(const Attempt&)> on_ended_ = [](const Attempt&) {};
  ServerTraining* training_ = nullptr;
  std::vector<std::string> order_;
};

TEST_F(ServerSide, UsersTrainedAtTheSameTimeGetTheBytesThatEachWouldAlone) {
  const auto upload = [this] {
    return std::vector{Upload("u0", 2, 3e8), Upload("u1", 0, 1e8), Upload("u2", 1, 6e8)};
  };
  const std::vector<TrainingJob> jobs = upload();
  const Reports together = Train(3);
  std::map<std::string, std::string> results;
  for (const TrainingJob& job : jobs) results[job.attempt.user] = ResultOf(job.attempt);
  for (const bool work_conserving : {true, false}) {
    config_.server.work_conserving = work_conserving;
    NewStore();
    std::vector<TrainingJob> others = upload();
    Train(3);
    for (const TrainingJob& job : jobs) EXPECT_EQ(ResultOf(job.attempt), results[job.attempt.user]);
  }
  config_.server.work_conserving = true;
  for (const TrainingJob& job : jobs) {
    SCOPED_TRACE(job.attempt.user);
    NewStore();
    Send(job);
    const Reports alone = Train(1);
    ASSERT_TRUE(alone.at(job.attempt.user));
    ASSERT_TRUE(together.at(job.attempt.user)) << together.at(job.attempt.user).error().Text();
    EXPECT_EQ(together.at(job.attempt.user)->report.losses,
              alone.at(job.attempt.user)->report.losses);
    EXPECT_NE(results[job.attempt.user], "");
    EXPECT_EQ(ResultOf(job.attempt), results[job.attempt.user]);
  }
}

TEST_F(ServerSide, WhoHasTheLargerShareEndsFirstAndAUserThatComesIsNotKeptWaiting) {
  config_.training.epochs_server = 60;
  Upload("u0", 1, 1e8);
  Upload("u1", 1, 8e8);
  on_ended_ = [this](const Attempt& attempt) {
    if (attempt.user == "u1") Upload("u2", 1, 8e8);  // While u0 trains.
  };
  Train(3);
  EXPECT_THAT(order_, ElementsAre("u1", "u2", "u0"));
}

TEST_F(ServerSide, ANewPlanMayTurnTheSharesRound) {
  config_.training.epochs_server = 60;
  Upload("u0", 1, 1e8);
  Upload("u1", 1, 8e8);
  on_taken_ = [this](const Attempt& attempt) {
    training_->SetShare(attempt, attempt.user == "u0" ? 8e8 : 1e8, 0.0);
  };
  Train(2);
  EXPECT_THAT(order_, ElementsAre("u0", "u1"));
}

TEST_F(ServerSide, SharesKeptStrictlyLeaveTheRestOfTheTimeUnused) {
  config_.server.work_conserving = false;
  Upload("u0", 1, 5e7);  // A twentieth of the clock.
  const Reports reports = Train(1);
  ASSERT_TRUE(reports.at("u0"));
  EXPECT_GT(reports.at("u0")->spent.elapsed_s, 19.9 * reports.at("u0")->spent.cpu_s);
}

// Joint epochs are part of the work that a plan has a time for.
TEST_F(ServerSide, WhatThePlanHasATimeForTakesThatTime) {
  config_.server.work_conserving = false;
  config_.training.epochs_joint = 1;
  Upload("u0", 1);
  Upload("u1", 2);
  on_taken_ = [this](const Attempt& attempt) {
    training_->SetShare(attempt, 1e9, attempt.user == "u0" ? 1.0 : 0.5);
  };
  const Reports reports = Train(2);
  ASSERT_TRUE(reports.at("u0") && reports.at("u1"));
  EXPECT_THAT(order_, ElementsAre("u1", "u0"));
  EXPECT_GE(reports.at("u0")->spent.elapsed_s, 0.999);
  EXPECT_GE(reports.at("u1")->spent.elapsed_s, 0.4995);
}

TEST_F(ServerSide, WhatDoesNotFitIntoMemoryWaitsAndWhatNeverWillIsRefusedWithBothNumbers) {
  const auto base = static_cast<std::uint64_t>(base_.model.weights().Bytes());
  config_.server.memory_bytes_max = base + 14'000'000;  // Enough for one at a time.
  Upload("u0", 1);
  Upload("u1", 1);
  const Reports reports = Train(2);
  ASSERT_TRUE(reports.at("u0") && reports.at("u1")) << reports.at("u1").error().Text();
  EXPECT_THAT(ReadFile(telemetry_path_).value(),
              HasSubstr(R"("event":"training_waits","round":1,"user":"u1")"));
  NewStore();
  config_.server.memory_bytes_max = base + 1'000'000;
  Upload("u0", 1);
  EXPECT_THAT(Train(1).at("u0").error().Text(), HasSubstr("MB beside the base, and may have 1 MB"));
}

// Each user's own phase, then all of its layers: by two calls of the engine, as TrainServerPhase
// has them.
TEST_F(ServerSide, JointEpochsTrainAllLayersAndReturnThem) {
  config_.training.epochs_joint = 2;
  const std::vector<TrainingJob> jobs = {Upload("u0", 2), Upload("u1", 1)};
  const Reports reports = Train(2);
  for (const TrainingJob& job : jobs) {
    SCOPED_TRACE(job.attempt.user);
    ASSERT_TRUE(reports.at(job.attempt.user)) << reports.at(job.attempt.user).error().Text();
    const train::ModelConfig& model = base_.model.config();
    auto adapter = *train::InitialAdapter(model, config_.training.adapter, 1);
    auto expected = adapter;
    ASSERT_TRUE(train::DecodeLayers(ResultOf(job.attempt), 1, kLayers, model, &adapter));
    const auto examples = corpus::TokenizeSamples(*corpus::ParseSamples("data", job.data),
                                                  base_.tokenizer,
                                                  base_.chat,
                                                  config_.training.tokens_max);
    const auto own = train::TrainServerPhase(
        base_.model, *examples, job.local_layers, config_.training.OptionsFor(3), &expected);
    train::TrainOptions anew = config_.training.OptionsFor(2);
    anew.seed = Rng(anew.seed).Stream("joint").Next();
    const auto joint = train::TrainAllLayers(base_.model, *examples, anew, &expected);
    ASSERT_TRUE(own && joint);
    EXPECT_EQ(reports.at(job.attempt.user)->report.steps, own->steps + joint->steps);
    EXPECT_NEAR(reports.at(job.attempt.user)->report.losses.back(), joint->losses.back(), 1e-4);
    EXPECT_GT(reports.at(job.attempt.user)->spent.elapsed_s, 0.0);
    EXPECT_NE(adapter.layers[0][0].b, std::vector<float>(adapter.layers[0][0].b.size(), 0.0F));
    for (std::size_t layer = 0; layer < kLayers; ++layer) {
      EXPECT_THAT(adapter.layers[layer][0].b,
                  testing::Pointwise(testing::FloatNear(1e-4F), expected.layers[layer][0].b));
    }
  }
}

TEST_F(ServerSide, ABrokenUploadAndADroppedUserEndAlone) {
  TrainingJob broken = Upload("u9", 1);
  store_->Drop(broken.attempt);
  broken.attempt.user = "u0";
  broken.adapters = "nonsense";
  Send(broken);
  Upload("u1", 1);
  Upload("u2", 1);
  on_taken_ = [this](const Attempt& attempt) {
    if (attempt.user == "u1") store_->Drop(attempt);
  };
  const Reports reports = Train(3);
  EXPECT_FALSE(reports.at("u0"));
  EXPECT_THAT(reports.at("u1").error().Text(), HasSubstr("user u1: was dropped"));
  EXPECT_TRUE(reports.at("u2"));
  EXPECT_EQ(ResultOf({"u0"}), "");
  EXPECT_NE(ResultOf({"u2"}), "");
}

TEST_F(ServerSide, ADataSetOfAForeignKindIsNamedWithoutAdviceOnFiles) {
  TrainingJob job;
  job.attempt.user = "u0";
  job.layers = kLayers;
  job.data = std::string("\xFF\xFE{\0", 4);
  Send(job);
  const Reports reports = Train(1);
  ASSERT_FALSE(reports.at("u0"));
  EXPECT_EQ(reports.at("u0").error().Text(), "user u0's data set: is UTF-16");
}

}  // namespace
}  // namespace dashf::runtime

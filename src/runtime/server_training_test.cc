#include "runtime/server_training.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <map>

#include "base/rng.h"
#include "train/peft_io.h"

namespace dashf::runtime {
namespace {

using testing::HasSubstr;

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

  // The user's upload, as its own training left it.
  TrainingJob Upload(const std::string& user, int k) {
    std::vector<corpus::Record> records;
    for (int i = 0; i < 5 + k; ++i) records.push_back({"Say it.", std::to_string(i), "no " + user});
    const auto adapter = train::InitialAdapter(base_.model.config(), config_.training.adapter, 1);
    EXPECT_TRUE(store_->Expect({user}, k, kLayers));
    return {{user},
            k,
            kLayers,
            corpus::WriteRecords(records),
            k > 0 ? train::EncodeLayers(*adapter, 1, k) : "",
            {}};
  }

  std::map<std::string, Expected<train::PhaseReport>> Train(const std::vector<TrainingJob>& jobs) {
    std::map<std::string, Expected<train::PhaseReport>> reports;
    ServerTraining(config_, base_, telemetry_, store_.get(), &stopped_)
        .Train(jobs, [&](const Attempt& attempt, const Expected<train::PhaseReport>& report) {
          EXPECT_TRUE(reports.emplace(attempt.user, report).second) << attempt.user;
        });
    return reports;
  }

  std::string ResultOf(const Attempt& attempt) const {
    const auto result = store_->Result(attempt);
    return result ? result->Read(0).value() : "";
  }

  const BaseModel base_ = Base();
  const Telemetry telemetry_ = *Telemetry::Open("", ServerNode("s0"));
  NodeConfig config_;
  const std::atomic<bool> stopped_ = false;
  const std::unique_ptr<UserStore> store_ = *UserStore::Open("", std::uint64_t{1} << 30);
};

TEST_F(ServerSide, UsersTrainedTogetherGetWhatEachWouldAlone) {
  const std::vector<TrainingJob> jobs = {Upload("u0", 2), Upload("u1", 0), Upload("u2", 1)};
  const auto together = Train(jobs);
  std::map<std::string, std::string> results;
  for (const TrainingJob& job : jobs) results[job.attempt.user] = ResultOf(job.attempt);
  for (const TrainingJob& job : jobs) {
    SCOPED_TRACE(job.attempt.user);
    const auto alone = Train({job});
    ASSERT_TRUE(together.at(job.attempt.user)) << together.at(job.attempt.user).error().Text();
    ASSERT_TRUE(alone.at(job.attempt.user));
    EXPECT_EQ(together.at(job.attempt.user)->steps, alone.at(job.attempt.user)->steps);
    EXPECT_NEAR(together.at(job.attempt.user)->losses.back(),
                alone.at(job.attempt.user)->losses.back(),
                1e-4);
    auto adapter = *train::InitialAdapter(base_.model.config(), config_.training.adapter, 1);
    EXPECT_TRUE(train::DecodeLayers(
        results[job.attempt.user], job.local_layers + 1, kLayers, base_.model.config(), &adapter));
  }
}

// Each user's own phase, then all of its layers: by two calls of the engine, as TrainServerPhase
// has them.
TEST_F(ServerSide, JointEpochsTrainAllLayersAndReturnThem) {
  config_.training.epochs_joint = 2;
  const std::vector<TrainingJob> jobs = {Upload("u0", 2), Upload("u1", 1)};
  const auto reports = Train(jobs);
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
    EXPECT_EQ(reports.at(job.attempt.user)->steps, own->steps + joint->steps);
    EXPECT_NEAR(reports.at(job.attempt.user)->losses.back(), joint->losses.back(), 1e-4);
    EXPECT_GT(reports.at(job.attempt.user)->elapsed_s, 0.0);
    EXPECT_NE(adapter.layers[0][0].b, std::vector<float>(adapter.layers[0][0].b.size(), 0.0F));
    for (std::size_t layer = 0; layer < kLayers; ++layer) {
      EXPECT_THAT(adapter.layers[layer][0].b,
                  testing::Pointwise(testing::FloatNear(1e-4F), expected.layers[layer][0].b));
    }
  }
}

TEST_F(ServerSide, ABrokenUploadAndADroppedUserEndAlone) {
  std::vector<TrainingJob> jobs = {Upload("u0", 1), Upload("u1", 1), Upload("u2", 1)};
  jobs[0].adapters = "nonsense";
  store_->Drop({"u1"});
  const auto reports = Train(jobs);
  EXPECT_FALSE(reports.at("u0"));
  EXPECT_THAT(reports.at("u1").error().Text(), HasSubstr("user u1: was dropped"));
  EXPECT_TRUE(reports.at("u2"));
  EXPECT_EQ(ResultOf({"u0"}), "");
  EXPECT_NE(ResultOf({"u2"}), "");
}

}  // namespace
}  // namespace dashf::runtime

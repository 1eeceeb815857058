#include "runtime/user_store.h"

#include <gmock/gmock.h>

#include <fstream>
#include <thread>

#include "base/file.h"

namespace dashf::runtime {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
namespace fs = std::filesystem;

constexpr std::uint64_t kBytesMax = 10'000;
constexpr std::chrono::milliseconds kLong(60'000);

std::vector<std::string> NamesOf(const std::vector<TrainingJob>& jobs) {
  std::vector<std::string> names;
  for (const TrainingJob& job : jobs) names.push_back(job.attempt.user);
  return names;
}

template <class T>
Refusal RefusalOf(const OrRefused<T>& outcome) {
  EXPECT_FALSE(outcome);
  return outcome ? Refusal{-1} : outcome.error().refusal;
}

class Spool : public testing::Test {
 protected:
  Spool() {
    fs::remove_all(folder_);
    Restart();
  }
  ~Spool() override {
    store_.reset();
    fs::remove_all(folder_);
  }

  // As by a kill and a new start: nothing is told to the old one.
  void Restart() {
    store_.reset();
    auto store = UserStore::Open(folder_, kBytesMax);
    ASSERT_TRUE(store) << store.error().Text();
    store_ = std::move(*store);
  }

  static std::vector<Announced> AnnouncedOf(const Attempt& attempt) {
    return {Announce("data of " + attempt.user), Announce("adapters")};
  }

  void Send(const Attempt& attempt, std::size_t bytes = 1000) {
    const std::string data = "data of " + attempt.user, adapters = "adapters";
    const auto turn = store_->BeginUpload(attempt, AnnouncedOf(attempt));
    ASSERT_TRUE(turn) << turn.error().reason;
    ChunkSource source({data, adapters}, turn->bytes);
    for (ChunkView chunk; bytes >= 3 && source.Next(&chunk, 3); bytes -= 3) {
      ASSERT_TRUE(store_->AddChunk(attempt, turn->number, chunk));
    }
  }

  void Upload(const Attempt& attempt) {
    Send(attempt);
    const auto turn = store_->BeginUpload(attempt, AnnouncedOf(attempt));
    ASSERT_TRUE(turn && store_->CommitUpload(attempt, turn->number));
  }

  std::string ResultOf(const Attempt& attempt) const {
    const auto result = store_->Result(attempt);
    return result ? result->Read(0).value() : result.error().reason;
  }

  std::vector<std::string> Files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
      if (entry.is_regular_file()) names.push_back(entry.path().lexically_relative(folder_));
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  std::vector<TrainingJob> NextJobs() {
    std::vector<TrainingJob> jobs;
    while (auto job = store_->NextJob(std::chrono::milliseconds(0))) {
      jobs.push_back(std::move(*job));
    }
    return jobs;
  }

  const fs::path folder_ = fs::path(testing::TempDir()) / "spool";
  std::unique_ptr<UserStore> store_;
  const Attempt u0_{"u0", 3, 1}, u1_{"u1", 3, 1}, u2_{"u2", 3, 1};
};

TEST_F(Spool, GivesOutTheUploadsThatWaitEachOnce) {
  for (const Attempt& attempt : {u0_, u1_, u2_}) {
    ASSERT_TRUE(store_->Expect(attempt, 1, 3, 2e9));
    Upload(attempt);
  }
  ASSERT_TRUE(store_->Expect({"u3"}, 0, 3));  // Has sent nothing yet.
  const auto jobs = NextJobs();
  EXPECT_THAT(NamesOf(jobs), ElementsAre("u0", "u1", "u2"));
  EXPECT_EQ(jobs[1].data, "data of u1");
  EXPECT_EQ(jobs[1].adapters, "adapters");
  EXPECT_EQ(jobs[1].server_clock_hz, 2e9);
  EXPECT_TRUE(jobs[1].intact);
  EXPECT_THAT(NextJobs(), IsEmpty());
}

TEST_F(Spool, WaitsForAnUploadAndForNoneOnceClosed) {
  std::thread uploads([this] {
    ASSERT_TRUE(store_->Expect(u0_, 1, 3));
    Upload(u0_);
  });
  const auto job = store_->NextJob(kLong);
  ASSERT_TRUE(job);
  EXPECT_EQ(job->attempt, u0_);
  uploads.join();
  std::thread closes([this] { store_->Close(); });
  EXPECT_FALSE(store_->NextJob(kLong));
  EXPECT_TRUE(store_->Closed());
  closes.join();
}

// At every stage of an attempt, once and twice.
TEST_F(Spool, AServerThatStartsAgainGoesOnWhereItWas) {
  ASSERT_TRUE(store_->Expect(u0_, 1, 3));
  Restart();
  EXPECT_TRUE(store_->Wanted(u0_));
  Send(u0_, 9);
  Restart();
  EXPECT_EQ(store_->BeginUpload(u0_, AnnouncedOf(u0_))->bytes, 9U);
  Upload(u0_);
  Restart();
  EXPECT_TRUE(store_->BeginUpload(u0_, AnnouncedOf(u0_))->complete);
  EXPECT_THAT(NamesOf(NextJobs()), ElementsAre("u0"));
  Restart();  // In mid-training: trained again.
  const auto jobs = NextJobs();
  ASSERT_THAT(NamesOf(jobs), ElementsAre("u0"));
  EXPECT_EQ(jobs[0].data, "data of u0");
  EXPECT_EQ(jobs[0].local_layers, 1);
  EXPECT_EQ(jobs[0].layers, 3);
  EXPECT_THAT(store_->Finished(), IsEmpty());
  ASSERT_TRUE(store_->Finish(u0_, "trained", {2.5, 1.5}));
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(ResultOf(u0_), "trained");
    const auto finished = store_->Finished();
    ASSERT_EQ(finished.size(), 1U);
    EXPECT_EQ(finished[0].attempt, u0_);
    EXPECT_EQ(finished[0].spent.elapsed_s, 2.5);
    EXPECT_EQ(finished[0].spent.cpu_s, 1.5);
    EXPECT_TRUE(store_->BeginUpload(u0_, AnnouncedOf(u0_))->complete);
    EXPECT_EQ(RefusalOf(store_->BeginUpload(u0_, {Announce("x"), Announce("y")})),
              Refusal::kConflict);
    Restart();
  }
  store_->Drop(u0_);
  EXPECT_THAT(Files(), ElementsAre("lock"));
  Restart();
  EXPECT_FALSE(store_->Wanted(u0_));
}

TEST_F(Spool, OnlyWhatIsNeededIsKeptAndOnlyForItsOwner) {
  ASSERT_TRUE(store_->Expect(u0_, 1, 3));
  EXPECT_EQ(fs::status(folder_).permissions(), fs::perms::owner_all);
  Upload(u0_);
  EXPECT_THAT(Files(), ElementsAre("lock", "u0/3-1/job", "u0/3-1/upload"));
  ASSERT_TRUE(store_->Finish(u0_, "trained", {1, 1}));
  EXPECT_THAT(Files(), ElementsAre("lock", "u0/3-1/job", "u0/3-1/result"));  // No data any more.
  ASSERT_TRUE(store_->Expect({"u0", 4, 1}, 1, 3));
  EXPECT_THAT(Files(), ElementsAre("lock", "u0/4-1/job"));
}

TEST_F(Spool, WhatComesBeforeItIsExpectedIsToBeAskedAgain) {
  const auto early = store_->BeginUpload(u0_, AnnouncedOf(u0_));
  EXPECT_EQ(RefusalOf(early), Refusal::kNotYet);
  EXPECT_EQ(early.error().reason, "attempt 1 of round 3 is not expected here yet");
  ASSERT_TRUE(store_->Expect(u0_, 1, 3));
  EXPECT_EQ(RefusalOf(store_->BeginUpload({"u0", 3, 2}, AnnouncedOf(u0_))), Refusal::kNotYet);
  EXPECT_EQ(RefusalOf(store_->Result(u0_)), Refusal::kNotYet);
  EXPECT_EQ(ResultOf(u0_), "the adapters of attempt 1 of round 3 are not trained yet");
}

TEST_F(Spool, WhatBelongsToAnEarlierAttemptChangesNothing) {
  const Attempt second{"u0", 3, 2};
  ASSERT_TRUE(store_->Expect(u0_, 1, 3));
  const auto turn = store_->BeginUpload(u0_, AnnouncedOf(u0_));
  ASSERT_TRUE(store_->Expect(second, 2, 3));
  ASSERT_TRUE(store_->Expect(u0_, 1, 3));
  const auto late = store_->AddChunk(u0_, turn->number, {0, 0, "dat", Crc32c("dat")});
  EXPECT_EQ(RefusalOf(late), Refusal::kOver);
  EXPECT_EQ(late.error().reason, "attempt 1 of round 3 is over: attempt 2 of round 3 is going on");
  EXPECT_EQ(RefusalOf(store_->CommitUpload(u0_, turn->number)), Refusal::kOver);
  ASSERT_TRUE(store_->Finish(u0_, "result", {1, 1}));
  store_->Drop(u0_);
  EXPECT_EQ(RefusalOf(store_->BeginUpload(u0_, AnnouncedOf(u0_))), Refusal::kOver);
  EXPECT_FALSE(store_->Wanted(u0_) || store_->Result(u0_));
  EXPECT_THAT(Files(), ElementsAre("lock", "u0/3-2/job"));
  Upload(second);
  EXPECT_EQ(NextJobs().at(0).local_layers, 2);
}

TEST_F(Spool, ADroppedAttemptStaysDropped) {
  ASSERT_TRUE(store_->Expect(u0_, 1, 3));
  store_->Drop(u0_);
  ASSERT_TRUE(store_->Expect(u0_, 1, 3));  // A message that was long on its way.
  EXPECT_FALSE(store_->Wanted(u0_));
  const auto refused = store_->BeginUpload(u0_, AnnouncedOf(u0_));
  EXPECT_EQ(RefusalOf(refused), Refusal::kOver);
  EXPECT_EQ(refused.error().reason, "attempt 1 of round 3 is over: it was dropped");
}

TEST_F(Spool, ANewStreamTakesOverFromOneThatHangs) {
  ASSERT_TRUE(store_->Expect(u0_, 1, 3));
  const auto old = store_->BeginUpload(u0_, AnnouncedOf(u0_));
  ASSERT_TRUE(store_->AddChunk(u0_, old->number, {0, 0, "dat", Crc32c("dat")}));
  const auto anew = store_->BeginUpload(u0_, AnnouncedOf(u0_));
  EXPECT_EQ(anew->bytes, 3U);
  EXPECT_EQ(RefusalOf(store_->AddChunk(u0_, old->number, {0, 3, "a", Crc32c("a")})),
            Refusal::kBroken);
  EXPECT_TRUE(store_->AddChunk(u0_, anew->number, {0, 3, "a", Crc32c("a")}));
}

TEST_F(Spool, RoomIsPromisedBeforeBytesTravelAndGivenBack) {
  const auto sized = [](std::uint64_t bytes) {
    return std::vector<Announced>{{bytes, std::string(64, '0')}};
  };
  for (const Attempt& attempt : {u0_, u1_}) ASSERT_TRUE(store_->Expect(attempt, 0, 3));
  const auto never = store_->BeginUpload(u0_, sized(kBytesMax + 1));
  EXPECT_EQ(RefusalOf(never), Refusal::kTooLarge);
  EXPECT_THAT(never.error().reason, HasSubstr("10001 bytes are more than the 10000"));
  EXPECT_EQ(RefusalOf(store_->BeginUpload(u0_, sized(kArtefactBytesMax + 1))), Refusal::kTooLarge);
  ASSERT_TRUE(store_->BeginUpload(u0_, sized(6000)));
  const auto wait = store_->BeginUpload(u1_, sized(5000));
  EXPECT_EQ(RefusalOf(wait), Refusal::kNotYet);
  EXPECT_EQ(wait.error().reason, "no room for 5000 bytes yet: others have 6000 of 10000");
  EXPECT_TRUE(store_->BeginUpload(u1_, sized(4000)));
  store_->Drop(u0_);
  EXPECT_TRUE(store_->BeginUpload(u1_, sized(5000)));
}

TEST_F(Spool, ArtefactsThatAreNotTheAssignmentsAreMalformed) {
  ASSERT_TRUE(store_->Expect(u0_, 0, 3));
  auto three = AnnouncedOf(u0_);
  three.push_back(three.back());
  EXPECT_EQ(RefusalOf(store_->BeginUpload(u0_, three)), Refusal::kMalformed);
  EXPECT_EQ(RefusalOf(store_->BeginUpload(u0_, {})), Refusal::kMalformed);
  EXPECT_EQ(RefusalOf(store_->BeginUpload(u0_, {{4, "no digest"}})), Refusal::kMalformed);
}

TEST_F(Spool, WhatAnotherFleetHasLeftIsRemoved) {
  const auto of = [this](const std::string& fleet) {
    store_.reset();
    store_ = UserStore::Open(folder_, kBytesMax, fleet).value();
  };
  of("one");
  ASSERT_TRUE(store_->Expect(u0_, 1, 3));
  Upload(u0_);
  of("one");
  EXPECT_TRUE(store_->Committed(u0_));
  of("another");
  EXPECT_FALSE(store_->Committed(u0_));
  EXPECT_FALSE(fs::exists(folder_ / "u0"));
}

TEST_F(Spool, AFolderHasOneOwnerAndIsNobodysHome) {
  const auto second = UserStore::Open(folder_, kBytesMax);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::kUsage);
  EXPECT_THAT(second.error().Text(),
              HasSubstr("is in use by process " + std::to_string(::getpid())));
  const fs::path home = folder_ / "home";
  ASSERT_TRUE(WriteFileAtomically(home / "letters" / "mother.txt", "Dear"));
  const auto foreign = UserStore::Open(home, kBytesMax);
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().kind, ErrorKind::kBadInput);
  EXPECT_THAT(foreign.error().Text(), HasSubstr("is no spool: holds letters/mother.txt"));
  fs::remove_all(home);
}

TEST_F(Spool, WhatTheDiskHasDamagedIsNamedAndNotUsed) {
  for (const Attempt& attempt : {u0_, u1_, u2_}) {
    ASSERT_TRUE(store_->Expect(attempt, 1, 3));
    Upload(attempt);
  }
  ASSERT_TRUE(store_->Finish(u1_, "trained", {1, 1}));
  ASSERT_TRUE(WriteFileAtomically(folder_ / "u0/3-1/job", "{"));
  fs::resize_file(folder_ / "u1/3-1/result", 20);
  std::fstream(folder_ / "u2/3-1/upload", std::ios::in | std::ios::out).seekp(-2, std::ios::end)
      << "S";
  Restart();
  EXPECT_THAT(store_->damaged(), ElementsAre(HasSubstr("u0/3-1/job"), HasSubstr("u1/3-1/result")));
  EXPECT_FALSE(store_->Wanted(u0_));
  EXPECT_FALSE(store_->Result(u1_));
  EXPECT_FALSE(store_->BeginUpload(u1_, AnnouncedOf(u1_))->complete);
  const auto jobs = NextJobs();
  ASSERT_THAT(NamesOf(jobs), ElementsAre("u2"));
  EXPECT_THAT(jobs[0].intact.error().Text(), HasSubstr("damaged"));
}

TEST_F(Spool, WithoutAFolderItsOwnIsATemporaryOne) {
  fs::path path;
  {
    const auto temporary = SpoolFolder::Open("");
    ASSERT_TRUE(temporary);
    path = temporary->path();
    EXPECT_TRUE(temporary->Keep({u0_, 0, 3}));
    EXPECT_TRUE(fs::exists(path / "u0"));
  }
  EXPECT_FALSE(fs::exists(path));
}

}  // namespace
}  // namespace dashf::runtime

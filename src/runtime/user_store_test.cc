#include "runtime/user_store.h"

#include <gmock/gmock.h>

#include <thread>

namespace dashf::runtime {
namespace {

void Upload(const std::string& user, UserStore* store) {
  store->Expect({user}, 1, 3);
  ASSERT_EQ(store->BeginUpload({user}, "key"), UploadVerdict::kWelcome);
  store->CommitUpload({user}, "data of " + user, "adapters");
}

std::vector<std::string> NamesOf(const std::vector<TrainingJob>& jobs) {
  std::vector<std::string> names;
  for (const TrainingJob& job : jobs) names.push_back(job.attempt.user);
  return names;
}

TEST(UserStore, GivesOutTheUploadsThatWaitEachOnceAndAtMostAsManyAsAsked) {
  UserStore store;
  for (const char* user : {"u0", "u1", "u2"}) Upload(user, &store);
  store.Expect({"u3"}, 0, 3);  // Has sent nothing yet.
  const auto first = store.NextJobs(2);
  EXPECT_THAT(NamesOf(first), testing::ElementsAre("u0", "u1"));
  EXPECT_EQ(first[1].data, "data of u1");
  EXPECT_THAT(NamesOf(store.NextJobs(8)), testing::ElementsAre("u2"));
}

TEST(UserStore, WhatBelongsToAnEarlierAttemptChangesNothing) {
  UserStore store;
  const Attempt first{"u0", 3, 1}, second{"u0", 3, 2};
  store.Expect(first, 1, 3);
  EXPECT_EQ(store.BeginUpload(second, "key"), UploadVerdict::kUnexpected);
  ASSERT_EQ(store.BeginUpload(first, "key"), UploadVerdict::kWelcome);
  store.Expect(second, 2, 3);
  store.Expect(first, 1, 3);
  store.CommitUpload(first, "data", "adapters");
  store.Finish(first, "result");
  store.Drop(first);
  EXPECT_EQ(store.BeginUpload(first, "key"), UploadVerdict::kStale);
  EXPECT_FALSE(store.Expected(first) || store.Result(first));
  EXPECT_EQ(store.BeginUpload(second, "key"), UploadVerdict::kWelcome);
  EXPECT_EQ(store.local_layers(second), 2);
}

TEST(UserStore, WaitsForAnUploadAndForNoneOnceClosed) {
  UserStore store;
  std::thread uploads([&store] { Upload("u0", &store); });
  EXPECT_THAT(NamesOf(store.NextJobs(4)), testing::ElementsAre("u0"));
  uploads.join();
  std::thread closes([&store] { store.Close(); });
  EXPECT_TRUE(store.NextJobs(4).empty());
  closes.join();
}

}  // namespace
}  // namespace dashf::runtime

#include "report/event_files.h"

#include <gmock/gmock.h>

#include <bit>
#include <cstdint>
#include <optional>

#include "base/digest.h"
#include "base/file.h"
#include "round/round_record.h"

namespace dashf::report {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// A strict reader: whatever is not as TFRecord and the messages' definitions have it throws.
class Bytes {
 public:
  explicit Bytes(std::string_view rest) : rest_(rest) {}
  bool empty() const { return rest_.empty(); }
  std::string_view Take(std::size_t count) {
    if (count > rest_.size()) throw std::out_of_range("cut off");
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  std::uint64_t Fixed(std::size_t bytes) {
    std::uint64_t value = 0;
    const std::string_view taken = Take(bytes);
    for (std::size_t i = bytes; i-- > 0;) value = value << 8 | static_cast<unsigned char>(taken[i]);
    return value;
  }
  std::uint64_t Varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(Take(1).front());
      value |= std::uint64_t{byte & 0x7fU} << shift;
      if (byte < 0x80) return value;
    }
    throw std::out_of_range("varint");
  }
  std::string_view Field(std::uint64_t number) {  // A string or message.
    if (Varint() != (number << 3 | 2)) throw std::invalid_argument("field");
    return Take(Varint());
  }

 private:
  std::string_view rest_;
};

std::uint32_t Masked(std::string_view bytes) {
  const std::uint32_t crc = Crc32c(bytes);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8U;
}

std::vector<std::string> RecordsIn(const std::string& file) {
  std::vector<std::string> records;
  for (Bytes bytes(file); !bytes.empty();) {
    const std::string length(bytes.Take(8));
    EXPECT_EQ(bytes.Fixed(4), Masked(length));
    records.emplace_back(bytes.Take(Bytes(length).Fixed(8)));
    EXPECT_EQ(bytes.Fixed(4), Masked(records.back()));
  }
  return records;
}

ScalarEvent EventIn(const std::string& record) {
  Bytes bytes(record);
  ScalarEvent event;
  EXPECT_EQ(bytes.Varint(), 1U << 3 | 1);
  event.time_s = std::bit_cast<double>(bytes.Fixed(8));
  EXPECT_EQ(bytes.Varint(), 2U << 3);
  event.step = static_cast<std::int64_t>(bytes.Varint());
  for (Bytes summary(bytes.Field(5)); !summary.empty();) {
    Bytes value(summary.Field(1));
    const std::string tag(value.Field(1));
    EXPECT_EQ(value.Varint(), 2U << 3 | 5);
    event.values.emplace_back(tag,
                              std::bit_cast<float>(static_cast<std::uint32_t>(value.Fixed(4))));
    EXPECT_TRUE(value.empty());
  }
  EXPECT_TRUE(bytes.empty());
  return event;
}

TEST(EventFile, BeginsAsThoseOfTensorFlowDo) {
  // The length of the first record, 24, and its masked CRC, as every such file has them.
  const std::string file = EncodeEventFile({});
  EXPECT_EQ(file.substr(0, 12), std::string("\x18\0\0\0\0\0\0\0\xa3\x7f\x4b\x22", 12));
  const auto records = RecordsIn(file);
  ASSERT_EQ(records.size(), 1U);
  Bytes bytes(records.front());
  EXPECT_EQ(bytes.Take(9), std::string("\x09\0\0\0\0\0\0\0\0", 9));
  EXPECT_EQ(bytes.Field(3), "brain.Event:2");
  EXPECT_TRUE(bytes.empty());
}

TEST(EventFile, HasEveryValueWithItsRoundAndTime) {
  const std::vector<ScalarEvent> events = {
      {1764412345.25, 1, {{"loss/before", 3.5F}, {"loss/after", 0.1F}}},
      {1764412999.5, 300, {{std::string(200, 't'), -1e-30F}}}};
  const auto records = RecordsIn(EncodeEventFile(events));
  ASSERT_EQ(records.size(), 3U);
  for (std::size_t i = 0; i < events.size(); ++i) {
    const ScalarEvent event = EventIn(records[i + 1]);
    EXPECT_EQ(event.time_s, events[i].time_s);
    EXPECT_EQ(event.step, events[i].step);
    EXPECT_EQ(event.values, events[i].values);
  }
}

class EventFilesOfARun : public testing::Test {
 protected:
  void SetUp() override { fs::remove_all(folder_); }
  void EndRound(std::uint32_t number, double loss, const std::string& second = "u1") const {
    RoundRecord round;
    round.number = number;
    for (const std::string& id : {std::string("u0"), second}) {
      UserRecord user;
      user.id = id;
      if (id == "u0") user.before.loss = 4.0;
      if (id == "u0") user.after.loss = loss;
      round.users.push_back(user);
    }
    const auto name = std::string(4 - std::to_string(number).size(), '0') + std::to_string(number);
    ASSERT_TRUE(
        WriteFileAtomically(folder_ / "run/rounds" / name / "round.json", WriteRound(round)));
  }
  std::string File() const {
    return ReadFile(folder_ / "out/u0/events.out.tfevents.dashf").value_or("");
  }
  const fs::path folder_ = fs::path(testing::TempDir()) / "event_files";
};

TEST_F(EventFilesOfARun, AreOfUsersThatHaveALossAndGrowWithTheRounds) {
  EndRound(1, 3.0);
  EndRound(2, 2.0);
  EXPECT_EQ(WriteEventFiles(folder_ / "run", folder_ / "out").value(), 1U);
  const std::string first = File();
  ASSERT_EQ(RecordsIn(first).size(), 3U);
  EXPECT_FALSE(fs::exists(folder_ / "out/u1"));  // It has no loss: its part failed.
  EndRound(10, 1.5);
  fs::create_directories(folder_ / "run/rounds/0011");  // Has not ended.
  EXPECT_EQ(WriteEventFiles(folder_ / "run", folder_ / "out").value(), 1U);
  const std::string grown = File();
  EXPECT_EQ(grown.substr(0, first.size()), first);
  const auto records = RecordsIn(grown);
  ASSERT_EQ(records.size(), 4U);
  const ScalarEvent last = EventIn(records.back());
  EXPECT_EQ(last.step, 10);
  EXPECT_EQ(last.values, (decltype(last.values){{"loss/before", 4.0F}, {"loss/after", 1.5F}}));
}

TEST_F(EventFilesOfARun, AreWrittenAnewWhereThoseThatThereAreAreOfOtherRounds) {
  EndRound(1, 3.0);
  ASSERT_TRUE(WriteEventFiles(folder_ / "run", folder_ / "out"));
  EndRound(1, 2.0);
  ASSERT_TRUE(WriteEventFiles(folder_ / "run", folder_ / "out"));
  const auto records = RecordsIn(File());
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(EventIn(records.back()).values.back().second, 2.0F);
}

TEST_F(EventFilesOfARun, LeaveTheirFolderForNoUsersName) {
  EndRound(1, 3.0, "../../elsewhere");
  const auto files = WriteEventFiles(folder_ / "run", folder_ / "out");
  ASSERT_FALSE(files);
  EXPECT_THAT(files.error().Text(), HasSubstr("users[].id: must name a folder"));
  EXPECT_FALSE(WriteEventFiles(folder_ / "nowhere", folder_ / "out"));
}

}  // namespace
}  // namespace dashf::report

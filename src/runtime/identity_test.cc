#include "runtime/identity.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "base/file.h"

namespace dashf::runtime {
namespace {

using std::chrono::hours;
using testing::HasSubstr;

class Identity : public testing::Test {
 protected:
  Identity() : folder_(testing::TempDir() + "dashf_identity_" + std::to_string(::getpid())) {}
  ~Identity() override { std::filesystem::remove_all(folder_); }

  CredentialPaths Write(const NodeId& node, const Credentials& credentials) {
    EXPECT_TRUE(WriteCredentials(folder_, node, credentials));
    return PathsIn(folder_, node);
  }

  std::filesystem::path folder_;
  const CertificateAuthority authority_ = CertificateAuthority::Create().value();
  const NodeId u3_ = UserNode("u3");
};

TEST_F(Identity, AnIssuedCertificateIsAcceptedAsTheNodeItNames) {
  const CredentialPaths paths = Write(u3_, authority_.Issue(u3_).value());
  EXPECT_TRUE(LoadCredentials(paths, u3_));
}

TEST_F(Identity, KeysAreTheirOwnersAlone) {
  const CredentialPaths paths = Write(u3_, authority_.Issue(u3_).value());
  struct stat status {};
  ASSERT_EQ(::stat(paths.key.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  ASSERT_EQ(::stat(folder_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700U);
}

TEST_F(Identity, AnExpiredCertificateIsRefusedWithItsFileAndDate) {
  const Validity past{.from = hours(-48), .until = hours(-24)};
  const CredentialPaths paths = Write(u3_, authority_.Issue(u3_, past).value());
  const auto loaded = LoadCredentials(paths, u3_);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().kind, ErrorKind::kIdentity);
  EXPECT_EQ(loaded.error().where, paths.certificate);
  EXPECT_THAT(loaded.error().message, HasSubstr("expired on"));
  EXPECT_THAT(loaded.error().message, HasSubstr("GMT"));
}

TEST_F(Identity, AForeignAuthoritysCertificateIsRefused) {
  Credentials foreign = CertificateAuthority::Create().value().Issue(u3_).value();
  foreign.ca_pem = authority_.Issue(u3_).value().ca_pem;
  const auto loaded = LoadCredentials(Write(u3_, foreign), u3_);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().kind, ErrorKind::kIdentity);
  EXPECT_THAT(loaded.error().message, HasSubstr("was not issued by"));
}

TEST_F(Identity, AnotherNodesCertificateIsRefused) {
  const CredentialPaths paths = Write(u3_, authority_.Issue(UserNode("u4")).value());
  const auto loaded = LoadCredentials(paths, u3_);
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error().message, HasSubstr("names 'user/u4', but this node is 'user/u3'"));
}

TEST_F(Identity, AKeyThatBelongsToAnotherCertificateIsRefused) {
  Credentials mixed = authority_.Issue(u3_).value();
  mixed.key_pem = authority_.Issue(u3_).value().key_pem;
  const CredentialPaths paths = Write(u3_, mixed);
  const auto loaded = LoadCredentials(paths, u3_);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().where, paths.key);
}

TEST_F(Identity, AMissingOrBrokenFileIsAnIdentityErrorThatNamesIt) {
  const CredentialPaths paths = Write(u3_, authority_.Issue(u3_).value());
  ASSERT_TRUE(WriteFileAtomically(paths.certificate, "not a certificate"));
  EXPECT_EQ(LoadCredentials(paths, u3_).error().where, paths.certificate);
  std::filesystem::remove(paths.key);
  const auto loaded = LoadCredentials(paths, u3_);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().kind, ErrorKind::kIdentity);
}

}  // namespace
}  // namespace dashf::runtime

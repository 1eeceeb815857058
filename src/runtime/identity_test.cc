#include "runtime/identity.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "base/file.h"
#include "runtime/authority.h"
#include "runtime/revocation.h"

namespace dashf::runtime {
namespace {

using std::chrono::hours;
using testing::HasSubstr;
namespace fs = std::filesystem;

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

TEST_F(Identity, AnyOfSeveralAuthoritiesInOneFileWillDo) {
  const auto next = CertificateAuthority::Create({}, "the next authority").value();
  Credentials both = next.Issue(u3_).value();
  both.ca_pem = authority_.pem() + next.pem();
  EXPECT_TRUE(LoadCredentials(Write(u3_, both), u3_));
  both.ca_pem = next.pem() + authority_.pem();
  EXPECT_TRUE(LoadCredentials(Write(u3_, both), u3_));
  both.ca_pem += "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  const auto broken = LoadCredentials(Write(u3_, both), u3_);
  ASSERT_FALSE(broken);
  EXPECT_THAT(broken.error().Text(), HasSubstr("ca.pem: certificate 3 in it is broken"));
}

TEST_F(Identity, AnExpiredAuthorityBesideASoundOneDoesNoHarm) {
  const Validity past{.from = hours(-48), .until = hours(-24)};
  Credentials sound = authority_.Issue(u3_).value();
  sound.ca_pem = CertificateAuthority::Create(past, "old").value().pem() + sound.ca_pem;
  EXPECT_TRUE(LoadCredentials(Write(u3_, sound), u3_));
}

TEST_F(Identity, AChainLeadsThroughAnIntermediateAuthorityToTheTrustedOne) {
  const auto between = authority_.IssueAuthority("site authority").value();
  const Credentials issued = between.Issue(u3_).value();
  EXPECT_EQ(issued.ca_pem, authority_.pem());
  EXPECT_TRUE(LoadCredentials(Write(u3_, issued), u3_));
  Credentials alone = issued;
  alone.certificate_pem.resize(alone.certificate_pem.find("-----END") + 26);
  const auto loaded = LoadCredentials(Write(u3_, alone), u3_);
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error().message, HasSubstr("was not issued by"));
}

TEST_F(Identity, AnExpiredIntermediateIsNamedWithItsDate) {
  const Validity past{.from = hours(-48), .until = hours(-24)};
  const auto between = authority_.IssueAuthority("site authority", past).value();
  Credentials issued = between.Issue(u3_).value();
  const auto loaded = LoadCredentials(Write(u3_, issued), u3_);
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error().Text(), HasSubstr("user-u3.pem: the certificate "));
  EXPECT_THAT(loaded.error().Text(), HasSubstr("expired on"));
}

TEST_F(Identity, NoCertificateOutlivesItsAuthority) {
  const auto brief = CertificateAuthority::Create({.until = hours(2)}).value();
  const auto end = EndOf(brief.Issue(u3_, {.until = hours(1000)}).value().certificate_pem);
  EXPECT_LT(end, std::chrono::system_clock::now() + hours(3));
}

TEST_F(Identity, AnAuthorityThatWasKeptIssuesWhatItsFirstLifeDid) {
  const fs::path certificate = folder_ / "authority.pem", key = folder_ / "authority.key";
  ASSERT_TRUE(WriteFileAtomically(certificate, authority_.pem()));
  ASSERT_TRUE(WriteSecret(key, authority_.KeyPem().value()));
  EXPECT_FALSE(WriteSecret(key, "another")) << "a key was replaced";
  const auto kept = CertificateAuthority::Load(certificate, key);
  ASSERT_TRUE(kept) << kept.error().Text();
  Credentials issued = kept->Issue(u3_).value();
  issued.ca_pem = authority_.pem();
  EXPECT_TRUE(LoadCredentials(Write(u3_, issued), u3_));
  // A renewal keeps the key where it is given.
  EXPECT_EQ(kept->Issue(u3_, {}, issued.key_pem)->key_pem, issued.key_pem);
  const fs::path other = folder_ / "other.key";
  ASSERT_TRUE(WriteSecret(other, CertificateAuthority::Create().value().KeyPem().value()));
  EXPECT_THAT(CertificateAuthority::Load(certificate, other).error().Text(),
              HasSubstr("other.key: is not the key of"));
}

TEST_F(Identity, AKeyThatOthersMayReadIsTold) {
  const CredentialPaths paths = Write(u3_, authority_.Issue(u3_).value());
  EXPECT_FALSE(ExposedKey(paths.key));
  ASSERT_EQ(::chmod(paths.key.c_str(), 0640), 0);
  EXPECT_THAT(ExposedKey(paths.key).value_or(""), HasSubstr("mode 640"));
}

class Revoking : public Identity {
 protected:
  RevokedCertificates Open() {
    return RevokedCertificates::Open(
               path_.string(), authority_.pem(), [this](const auto& said) { said_ += said; })
        .value();
  }
  void Revoke(const std::vector<std::string>& pems, const CertificateAuthority& by) {
    std::vector<Revocation> list;
    for (const std::string& pem : pems) {
      list.push_back({SerialOf("", pem).value(), std::chrono::system_clock::now()});
    }
    ASSERT_TRUE(WriteFileAtomically(path_, by.ListOf(list).value()));
  }

  const fs::path path_ = folder_ / "revoked.pem";
  const std::string one_ = authority_.Issue(u3_).value().certificate_pem;
  const std::string two_ = authority_.Issue(u3_).value().certificate_pem;
  std::string said_;
};

TEST_F(Revoking, TheListIsReadAnewWhenItChanges) {
  Revoke({}, authority_);
  RevokedCertificates revoked = Open();
  EXPECT_FALSE(revoked.Revoked(one_));
  Revoke({one_}, authority_);
  EXPECT_TRUE(revoked.Revoked(one_));
  EXPECT_FALSE(revoked.Revoked(two_)) << "the same node's other certificate";
  ASSERT_TRUE(WriteFileAtomically(path_, "nonsense"));
  EXPECT_TRUE(revoked.Revoked(one_)) << "the last sound list holds";
  EXPECT_THAT(said_, HasSubstr("is not a PEM revocation list"));
  Revoke({one_, two_}, authority_);
  EXPECT_TRUE(revoked.Revoked(two_));
}

TEST_F(Revoking, AListOfAnotherAuthorityIsRefused) {
  Revoke({one_}, CertificateAuthority::Create().value());
  const auto opened = RevokedCertificates::Open(path_.string(), authority_.pem(), [](auto&) {});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::kIdentity);
  EXPECT_THAT(opened.error().Text(), HasSubstr("was not signed by an authority of this fleet"));
}

TEST_F(Revoking, WithoutAListNobodyIsRevoked) {
  auto none = RevokedCertificates::Open("", authority_.pem(), [](auto&) {});
  ASSERT_TRUE(none);
  EXPECT_FALSE(none->Revoked(one_));
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

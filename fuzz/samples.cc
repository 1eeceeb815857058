// Records, conversations and text: what is accepted is written and read again, and written the
// same; each conversation is rendered in every form or refused; a template may be anything, too.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "corpus/samples.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace corpus = dashf::corpus;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto form = corpus::ChatTemplate::Parse("f", bytes, {{"bos_token", "<s>"}});
  const auto samples = corpus::ParseSamples("f", bytes);
  if (!samples) return 0;
  const std::string text = corpus::WriteSamples(*samples);
  const auto again = corpus::ParseSamples("f", text);
  DASHF_CHECK(again && again->size() == samples->size());
  DASHF_CHECK(corpus::WriteSamples(*again) == text);
  for (const corpus::Sample& sample : *samples) {
    const auto* conversation = std::get_if<corpus::Conversation>(&sample);
    if (conversation == nullptr) continue;
    for (const char* name : {"llama2", "llama3", "chatml"}) {
      for (const bool open : {false, true}) {
        const auto rendering = corpus::ChatTemplateNamed(name)->Render(*conversation, open);
        DASHF_CHECK(!rendering || !rendering->text.empty() || conversation->messages.size() < 2);
      }
    }
    if (form) {
      const auto rendering = form->Render(*conversation, false);
      DASHF_CHECK(rendering || !rendering.error().message.empty());
    }
  }
  return 0;
}

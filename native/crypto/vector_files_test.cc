#include "crypto/vector_files_test.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace sluice::crypto::test {

std::string text_of(const std::string& file) {
  std::ifstream in(std::string(SLUICE_CRYPTO_VECTORS "/") + file);
  EXPECT_TRUE(in.good()) << file;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::vector<Fields> stanzas_of(const std::string& file, const std::string& last) {
  std::vector<Fields> stanzas(1);
  std::istringstream text(text_of(file));
  for (std::string line; std::getline(text, line);) {
    const auto equals = line.find(" =");
    if (line.empty() || line[0] == '#' || equals == std::string::npos) continue;
    const auto value = line.find_first_not_of(' ', equals + 2);
    const std::string name = line.substr(0, line.find(' '));
    stanzas.back()[name] = value == std::string::npos ? "" : line.substr(value);
    if (name == last) stanzas.emplace_back();
  }
  stanzas.pop_back();
  return stanzas;
}

Bytes value_of(const std::string& text) {
  if (text.size() >= 2 && text.front() == '"') return bytes_of(text.substr(1, text.size() - 2));
  return from_hex(text);
}

std::string json_field(const std::string& text, const std::string& name, std::size_t at) {
  const auto start = text.find("\"" + name + "\": ", at);
  EXPECT_NE(start, std::string::npos) << name;
  const auto value = start + name.size() + 4;
  std::string field = text.substr(value, text.find_first_of(",\n", value) - value);
  std::erase(field, '"');
  return field;
}

}  // namespace sluice::crypto::test

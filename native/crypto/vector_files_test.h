// The files of test/vectors/crypto, read.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "crypto/tiers_fixture_test.h"

namespace sluice::crypto::test {

/// A whole file, by its path in that folder.
std::string text_of(const std::string& file);

using Fields = std::map<std::string, std::string>;

/// Stanzas of "name = value" lines; the field `last` ends each.
std::vector<Fields> stanzas_of(const std::string& file, const std::string& last);

/// A value of OpenSSL's: text in quotes, or hexadecimal.
Bytes value_of(const std::string& text);

/// The string or number of a field behind `at` in a file that is written one field a line.
std::string json_field(const std::string& text, const std::string& name, std::size_t at);

}  // namespace sluice::crypto::test

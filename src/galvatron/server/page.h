// The page itself: its files, and what browsers are told to refuse.
#pragma once
#include <optional>
#include <string>

#include "galvatron/http/message.h"

namespace galvatron::server {

// The file under the request's path; "/" is the page. nullopt: there is none. A build without the
// page has one that says how to build it.
std::optional<http::Answer> page_answer(const http::Request& request);

// A refusal to a person who looks at it: a page of one sentence.
http::Answer sentence_page(int status, const std::string& sentence);

// Adds to every answer what keeps a browser from running or framing anything but the page.
void add_security_headers(http::Answer& answer);

}  // namespace galvatron::server

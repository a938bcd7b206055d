#include "ferry/sftp/person.h"

#include <utility>

namespace ferry::sftp {
namespace {

std::unique_ptr<Person>& the_person() {
  static std::unique_ptr<Person> person;
  return person;
}

}  // namespace

void set_person(std::unique_ptr<Person> person) {
  the_person() = std::move(person);
}

Person* person() {
  return the_person().get();
}

}  // namespace ferry::sftp

# Writes the units for the prefix that is installed to: each one for /etc/ferry/ferry.toml, and as a
# template for /etc/ferry/INSTANCE.toml.

set(BINDIR ${CMAKE_INSTALL_PREFIX}/bin)
set(CONFIG_DIR /etc/ferry)
file(READ ${UNIT_SOURCES}/hardening.conf HARDENING)

function(install_unit source name)
  configure_file(${UNIT_SOURCES}/${source}.in ${UNIT_OUTPUT}/${name} @ONLY)
  file(INSTALL DESTINATION ${CMAKE_INSTALL_PREFIX}/lib/systemd/system
       TYPE FILE FILES ${UNIT_OUTPUT}/${name})
endfunction()

foreach(unit ferry-watch.service ferry-transfer.service ferry-transfer.path ferry-transfer.timer
        ferry-serve.service ferry-serve.socket)
  set(TITLE "")
  set(CONFIG ${CONFIG_DIR}/ferry.toml)
  set(STATE ferry)
  set(TRANSFER ferry-transfer.service)
  set(CREDENTIALS ${TRANSFER})
  set(SERVICE ferry-serve.service)
  set(SOCKET serve)
  install_unit(${unit} ${unit})

  string(REPLACE "." "@." template ${unit})
  set(TITLE " (%i)")
  set(CONFIG ${CONFIG_DIR}/%i.toml)
  set(STATE ferry/%i)
  set(TRANSFER ferry-transfer@%i.service)
  set(CREDENTIALS ferry-transfer@INSTANCE.service)
  set(SERVICE ferry-serve@%i.service)
  set(SOCKET serve-%i)
  install_unit(${unit} ${template})
endforeach()

